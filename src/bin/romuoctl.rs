//! The tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|verb| verb == romuo::sandbox::init::VERB) {
        return romuo::sandbox::init::main(args);
    }
    ExitCode::SUCCESS
}

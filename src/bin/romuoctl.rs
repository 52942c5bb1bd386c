//! The tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    romuo::cli::main()
}

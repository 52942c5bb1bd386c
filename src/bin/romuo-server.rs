//! What an instance runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use romuo::server::{self, Options, ServerError};
use romuo::unit::InstanceId;

/// Its figures are part of the health report, and it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Serves an app: from the sockets systemd passes, or from its own when started by hand.
#[derive(Debug, Parser)]
#[command(name = "romuo-server", version)]
struct Arguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which instance this is
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
}

fn main() -> ExitCode {
    let Arguments { config, instance } = Arguments::parse();
    match server::run(&Options { config, instance }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if matches!(error, ServerError::Config(_)) { 2 } else { 1 };
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(code)
        }
    }
}

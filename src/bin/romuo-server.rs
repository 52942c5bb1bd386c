//! What an instance runs.

use std::process::ExitCode;

/// Its figures are part of the health report, and it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    romuo::server::main()
}

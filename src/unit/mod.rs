//! Names and states in systemd's own words. Imports nothing but std.

mod drop_in;
mod name;
mod state;

pub use drop_in::drop_in_folders;
pub use name::{AppName, InstanceId, NameError, UnitName, UserName};
pub use state::{ActiveState, JobResult, ServiceResult};

//! Names and states in systemd's own words. Imports nothing but std.

mod name;
mod state;

pub use name::{AppName, InstanceId, NameError, UnitName, UserName};
pub use state::{ActiveState, JobResult, ServiceResult};

//! Rendered units -> a plan of typed changes -> applied below a root.
//!
//! - [`resolve`] finds out what of the settings depends on this machine;
//! - [`plan`] and [`plan_removal`] compare what should be with what is, and change nothing;
//! - [`Ports`] are the addresses that are open, and says which open and close for others;
//! - [`plan_scale`] does so for the links alone, which say how many instances there are;
//! - [`Plan`] is the list of changes: `--dry-run`, `--diff` and idempotence come from it;
//! - [`apply`] makes all of them or none, under the [`lock`];
//! - [`refuse_taken`] keeps an app from taking the place of a unit of the system;
//! - [`verify`] asks systemd itself what it thinks of rendered units.
//!
//! Each written file starts with a stamp, by which a file that someone else wrote or edited is
//! recognised and left alone. Every path is below a root; `/` is the running machine.

mod apply;
mod found;
mod held;
mod identity;
mod layout;
mod plan;
mod ports;
mod refusal;
mod resolve;
mod root_user;
mod scale;
mod show;
mod stamp;
mod taken;
mod verify;
mod version;

#[cfg(test)]
mod tests;

pub use self::apply::{ApplyError, Lock, LockError, apply, lock};
pub use self::found::{ReadError, installed_apps, installed_instances, installed_ports, written};
pub use self::held::{holder, is_held};
pub use self::identity::{Identity, identify, identity};
pub use self::layout::{below, boot_link, config_path, identity_path, unit_folder};
pub use self::plan::{Change, Install, Plan, plan, plan_removal, plan_scale};
pub use self::ports::{PortChange, Ports, PortsRefusal};
pub use self::refusal::{PlanError, Refusal};
pub use self::resolve::{Resolved, out_of_reach, resolve, spelled_out};
pub use self::root_user::runs_as_root;
pub use self::scale::{Scale, ScaleError, Wish};
pub use self::stamp::{Written, digest};
pub use self::taken::{NameTaken, TakenError, refuse_taken};
pub use self::verify::{VerifyError, verify};
pub use self::version::{VersionError, parse_version, systemd_version};

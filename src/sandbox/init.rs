//! The program behind `romuoctl sandbox-init`: what a sandbox is made of runs as this program,
//! started anew at each step by util-linux' `unshare`, for a process that exists cannot enter
//! namespaces without unsafe code.
//!
//! ```text
//! owner ── sandbox-init keeper ── unshare ── sandbox-init cgroup      PID 1 of the new namespaces
//!                                             = unshare --cgroup      (each `=` is an exec)
//!                                             = sandbox-init root
//!                                             = setpriv
//!                                             = systemd
//! ```

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cgroup::Hierarchy;
use super::error::SandboxError;
use super::inside;
use super::message::{Answer, Layout, Notice, Spec};
use super::{keeper, root};
use crate::account::tool;

/// The hidden verb of `romuoctl`.
pub const VERB: &str = "sandbox-init";
/// The process that holds a sandbox up; argument: a [`Spec`].
pub(super) const KEEPER: &str = "keeper";
/// In the new namespaces; argument: a [`Layout`]. Enters the cgroups.
pub(super) const CGROUP: &str = "cgroup";
/// In the new cgroup namespace too; argument: a [`Layout`]. Lays out the root.
const ROOT: &str = "root";

/// Enters a sandbox that is up; arguments: the pid of its PID 1, a program, its arguments.
pub(super) const EXEC: &str = "exec";

/// systemd's service manager (usr-merged, as Debian is since 12).
pub(super) const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// systemd 256 and 257 refuse v1 cgroups unless this is in both the environment and the arguments
/// (which in a container stand for the kernel command line).
const FORCE_V1: (&str, &str) = ("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE", "1");

/// The exit code where a command could not be run, as a shell's for "not found".
const NOT_RUN: u8 = 127;

/// Runs a step of a sandbox. `args` are those after the verb. Only a sandbox calls this; a person
/// gets a failure.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let parts: Vec<_> = args.iter().filter_map(|arg| arg.to_str()).collect();
    match parts[..] {
        [EXEC, ..] => {
            let Err(error) = inside::exec(&args[1..]);
            // In the place of the program's own words.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(NOT_RUN)
        }
        [KEEPER, spec] => match parse::<Spec>(spec).and_then(|spec| keeper::keep(&spec)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                send(&mut io::stdout(), &Answer::Failed(error));
                ExitCode::FAILURE
            }
        },
        [stage @ (CGROUP | ROOT), layout] => {
            let Err(error) = parse(layout).and_then(|l| match stage {
                CGROUP => enter_cgroups(&l, layout),
                _ => start_systemd(&l),
            });
            send(&mut io::stderr(), &Notice::Failed(error));
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

/// One line of JSON. A reader that is gone is no error: the sandbox ends with it.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(message) {
        let _ = writeln!(to, "{line}").and_then(|()| to.flush());
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, SandboxError> {
    serde_json::from_str(text).map_err(|e| SandboxError::run(VERB, &e))
}

/// As PID 1 of the new namespaces, with the host's files still in view. The cgroup namespace comes
/// last: its root is where the process is when it is made.
fn enter_cgroups(layout: &Layout, json: &str) -> Result<Infallible, SandboxError> {
    // The host's /proc knows us by the pid that the keeper needs.
    let pid = std::fs::read_link("/proc/self").ok();
    let pid = pid.and_then(|p| p.to_str()?.parse().ok());
    let pid = pid.ok_or_else(|| SandboxError::run("/proc/self", &"it names no process"))?;
    send(&mut io::stderr(), &Notice::Pid(pid));
    layout.tree.enter()?;
    let this = std::env::current_exe().map_err(|e| SandboxError::run(VERB, &e))?;
    let mut unshare = Command::new(tool("unshare"));
    unshare.args(["--cgroup", "--"]).arg(this).args([VERB, ROOT, json]);
    Err(SandboxError::run("unshare", &unshare.exec()))
}

fn start_systemd(layout: &Layout) -> Result<Infallible, SandboxError> {
    root::build(&layout.spec, &layout.tree)?;
    send(&mut io::stderr(), &Notice::Starting);
    rustix::stdio::dup2_stderr(io::stdout()).map_err(|e| SandboxError::run(SYSTEMD, &e))?;
    let mut systemd = Command::new(tool("setpriv"));
    inside::clean(&mut systemd);
    systemd.env("container", "sandbox").env(FORCE_V1.0, FORCE_V1.1);
    systemd.args(["--bounding-set", inside::DROPPED, "--", SYSTEMD]);
    systemd.args(["--system", "--log-target=journal", "--show-status=error"]);
    systemd.arg("systemd.unit=multi-user.target");
    if layout.tree.hierarchy == Hierarchy::Hybrid {
        systemd.arg(format!("{}={}", FORCE_V1.0, FORCE_V1.1));
        systemd.arg("systemd.unified_cgroup_hierarchy=0");
        systemd.arg("systemd.legacy_systemd_cgroup_controller=0");
    }
    Err(SandboxError::run(SYSTEMD, &systemd.exec()))
}

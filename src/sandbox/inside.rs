//! How a program is run among the processes inside.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::cgroup;
use super::error::SandboxError;
use super::init::{EXEC, VERB};
use crate::account::tool;

/// `PATH` inside and for the helpers outside, as systemd sets it (environment.d(5) aside).
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// For `setpriv --bounding-set`: what PID 1 and every command do without. Root inside is root
/// outside, for there is no user namespace, and none of what these open is namespaced: the clock
/// first of all, then kernel modules, raw I/O, device nodes, the kernel log, alarms, audit and the
/// security modules (capabilities(7)). `CAP_SYS_BOOT` stays: in a pid namespace reboot(2) ends
/// PID 1 and nothing else.
pub(super) const DROPPED: &str = "-sys_time,-sys_module,-sys_rawio,-mknod,-syslog,-wake_alarm,\
     -block_suspend,-mac_admin,-mac_override,-sys_pacct,-audit_read,-audit_control,-perfmon,-bpf";

/// Starts the program where its parent is alive. From inside, the `nsenter` outside has the pid 0;
/// had it been killed before the death signal was set, the parent would be PID 1.
const IF_WANTED: &str = r#"[ "$PPID" = 0 ] && exec "$0" "$@""#;

/// A command that runs `program` in all namespaces of the process `pid`, with a clean environment
/// and PID 1's bounding set. It dies with the `nsenter` that stands for it outside, so that
/// `Child::kill` means the program.
pub(super) fn command(pid: u32, program: &OsStr) -> Command {
    let mut command = Command::new(tool("nsenter"));
    command.arg("--target").arg(pid.to_string());
    command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]);
    command.args(["--", "setpriv", "--pdeathsig", "KILL", "--bounding-set", DROPPED, "--"]);
    command.args(["sh", "-c", IF_WANTED]).arg(program);
    clean(&mut command);
    command
}

/// As [`command`], in the cgroups of the process `pid` too. In a cgroup outside, a program would be
/// out of systemd's reach: with the mount option `nsdelegate`, no process moves across the border of
/// a cgroup namespace (cgroups(7)), so `systemd-run --scope` would fail.
pub(super) fn member(romuoctl: &Path, pid: u32, program: &OsStr) -> Command {
    let mut command = Command::new(romuoctl);
    command.args([VERB, EXEC]).arg(pid.to_string()).arg(program);
    clean(&mut command);
    command
}

/// The step behind [`member`]: `args` are its pid, program and arguments.
pub(super) fn exec(args: &[OsString]) -> Result<Infallible, SandboxError> {
    let [pid, program, args @ ..] = args else {
        return Err(SandboxError::run(VERB, &"no program is named"));
    };
    let pid = pid.to_str().and_then(|pid| pid.parse().ok());
    let pid = pid.ok_or_else(|| SandboxError::run(VERB, &"no pid is named"))?;
    cgroup::join(pid)?;
    let environment = std::env::vars_os();
    let error = command(pid, program).args(args).env_clear().envs(environment).exec();
    Err(SandboxError::run("nsenter", &error))
}

/// The environment of every process of a sandbox.
pub(super) fn clean(command: &mut Command) {
    command.env_clear().env("PATH", PATH).env("HOME", "/root").env("TERM", "dumb");
    command.env("LC_ALL", "C.UTF-8");
}

//! Talks to the service manager inside: is it up, and please go down.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::fs::inotify;

use super::error::SandboxError;
use super::inside;
use crate::account::tool;

/// Between two questions in the moment after PID 1 made its socket and before it listens on it.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until the sandbox with this PID 1 has booted: until PID 1 has made its private socket,
/// then until it says that startup is finished. Goes on for ever where it never does.
pub(super) fn wait(pid: u32) -> Result<(), SandboxError> {
    wait_for_socket(pid).map_err(|e| SandboxError::run("inotify", &e))?;
    loop {
        // Says the state and fails where it is another than `running` (systemctl(1)).
        match systemctl(pid, &["is-system-running", "--wait"])?.trim() {
            "running" => return Ok(()),
            "" | "offline" | "unknown" => thread::sleep(PAUSE),
            state => {
                let units = systemctl(pid, &["list-units", "--failed", "--plain", "--no-legend"])?;
                return Err(SandboxError::Degraded { state: state.to_owned(), units });
            }
        }
    }
}

/// Starts the way down: services stop, `ExecStop=` runs. It is the job that `systemctl poweroff`
/// starts where no logind runs (systemd.special(7)).
pub(super) fn power_off(pid: u32) -> Result<(), SandboxError> {
    let job = "--job-mode=replace-irreversibly";
    systemctl(pid, &["start", "--no-block", job, "poweroff.target"]).map(drop)
}

/// The version of the host's systemd, which is the sandbox's too.
pub(super) fn systemd_version() -> Result<u32, SandboxError> {
    let mut command = Command::new(tool("systemctl"));
    inside::clean(&mut command);
    let output = command.arg("--version").output();
    let output = output.map_err(|e| SandboxError::run("systemctl", &e))?;
    // "systemd 252 (252.38-1~deb12u1)"
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text
        .split_whitespace()
        .nth(1)
        .map(|word| word.chars().take_while(char::is_ascii_digit).collect::<String>());
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| SandboxError::run("systemctl", &format!("it calls itself {text:?}")))
}

fn systemctl(pid: u32, args: &[&str]) -> Result<String, SandboxError> {
    let output = inside::command(pid, OsStr::new("systemctl")).args(args).output();
    let output = output.map_err(|e| SandboxError::run("nsenter", &e))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn wait_for_socket(pid: u32) -> rustix::io::Result<()> {
    let folder = PathBuf::from(format!("/proc/{pid}/root/run/systemd"));
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, &folder, inotify::WatchFlags::CREATE)?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    while !folder.join("private").exists() {
        events.next()?;
    }
    Ok(())
}

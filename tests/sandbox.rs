//! The sandbox itself: what it is, what it keeps from the host, and that nothing of it is left.
//! Needs root.

// clippy.toml allows these in tests, but takes the helpers beside them for production code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use miette::Diagnostic;
use romuo::sandbox::{Hierarchy, Sandbox, SandboxBuilder, SandboxError};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Set where this program is started as the owner of a sandbox that is to be killed.
const OWNER: &str = "ROMUO_TEST_SANDBOX_OWNER";
/// Where this test program lies inside, in the tests that run it there.
const TESTS: &str = "/usr/local/bin/sandbox-tests";
/// Where `romuoctl` lies then.
const ROMUOCTL: &str = "/usr/local/bin/romuoctl";

fn builder() -> SandboxBuilder {
    Sandbox::builder(romuoctl())
}

/// Where `romuoctl` lies: for the tests that run inside, beside this program.
fn romuoctl() -> &'static Path {
    let inside = std::env::current_exe().unwrap() == Path::new(TESTS);
    Path::new(if inside { ROMUOCTL } else { env!("CARGO_BIN_EXE_romuoctl") })
}

fn boot(builder: SandboxBuilder) -> Sandbox {
    builder.boot().unwrap_or_else(|error| {
        let help = error.help().map(|help| format!("; {help}"));
        panic!("{error}{}", help.unwrap_or_default())
    })
}

/// Runs a command inside that must succeed.
fn says(sandbox: &Sandbox, command: &[&str]) -> String {
    let output = sandbox.run(command).unwrap();
    assert!(output.success(), "{command:?}: {output:?}");
    output.stdout.trim().to_owned()
}

/// This test program and its `romuoctl` inside. (Not at their paths here: those may be below /tmp,
/// which a boot empties.)
fn with_tests(builder: SandboxBuilder) -> SandboxBuilder {
    builder.program(std::env::current_exe().unwrap(), TESTS).program(romuoctl(), ROMUOCTL)
}

/// What can be seen of a sandbox from the host.
struct Traces {
    keeper: i32,
    processes: Vec<i32>,
    cgroups: Vec<PathBuf>,
}

impl Traces {
    fn of(pid: u32) -> Self {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
        let inside = |pid: &i32| {
            fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == namespace)
        };
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|e| e.file_name().to_str()?.parse().ok());
        // PID 1 <- unshare <- keeper
        let keeper = parent(parent(i32::try_from(pid).unwrap()));
        let cgroups = cgroups(&format!("romuo-sandbox-{keeper}"));
        assert!(!cgroups.is_empty());
        Self { keeper, processes: pids.filter(inside).collect(), cgroups }
    }

    /// Waits for the death of the keeper, then looks around.
    fn assert_gone(&self) {
        wait_for_death(self.keeper);
        self.assert_all_dead();
        let left: Vec<_> = self.cgroups.iter().filter(|cgroup| cgroup.exists()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn assert_all_dead(&self) {
        assert!(self.processes.len() > 2, "PID 1, the journal and the bus at least");
        for pid in &self.processes {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            assert!(state.is_empty() || state.contains(") Z "), "{state}");
        }
    }
}

/// All cgroups of this name.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let find = Command::new("find").args(["/sys/fs/cgroup", "-name", name]).output().unwrap();
    String::from_utf8(find.stdout).unwrap().lines().map(PathBuf::from).collect()
}

fn parent(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

fn wait_for_death(pid: i32) {
    if let Ok(process) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) {
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap();
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_sandbox_boots_a_systemd_that_runs() {
    let sandbox = boot(builder());
    assert_eq!(says(&sandbox, &["systemctl", "is-system-running"]), "running");
    assert_eq!(says(&sandbox, &["systemctl", "is-active", "multi-user.target"]), "active");
    assert_eq!(says(&sandbox, &["ps", "-p", "1", "-o", "comm="]), "systemd");
}

#[test]
fn no_service_and_no_unit_of_the_host_is_inside() {
    let sandbox = boot(builder());
    let list = ["systemctl", "list-units", "--type=service", "--state=active", "--plain"];
    let services = says(&sandbox, &[&list[..], &["--no-legend"]].concat());
    let services: Vec<_> = services.lines().filter_map(|l| l.split_whitespace().next()).collect();
    let base = ["dbus.service", "systemd-journald.service", "systemd-tmpfiles-setup.service"];
    assert_eq!(services, base);
    assert_eq!(fs::read_dir(sandbox.path("/etc/systemd/system")).unwrap().count(), 0);
    assert_eq!(sandbox.read("/etc/fstab").unwrap(), b"");
    assert_ne!(sandbox.read("/etc/machine-id").unwrap(), fs::read("/etc/machine-id").unwrap());
}

#[test]
fn eight_sandboxes_side_by_side_do_not_see_each_other() {
    let boots: Vec<_> = (0..8).map(|_| thread::spawn(|| boot(builder()))).collect();
    let sandboxes: Vec<_> = boots.into_iter().map(|boot| boot.join().unwrap()).collect();
    for (number, sandbox) in sandboxes.iter().enumerate() {
        says(sandbox, &["systemd-run", &format!("--unit=number-{number}"), "sleep", "infinity"]);
        sandbox.write("/etc/number", number.to_string()).unwrap();
    }
    let mut machines = BTreeSet::new();
    for (number, sandbox) in sandboxes.iter().enumerate() {
        assert_eq!(says(sandbox, &["cat", "/etc/number"]), number.to_string());
        let list = ["systemctl", "list-units", "--plain", "--no-legend", "number-*"];
        let units = says(sandbox, &list);
        assert!(units.starts_with(&format!("number-{number}.service")), "{units}");
        assert_eq!(units.lines().count(), 1);
        assert_eq!(says(sandbox, &["pgrep", "--count", "sleep"]), "1");
        machines.insert(sandbox.read("/etc/machine-id").unwrap());
    }
    assert_eq!(machines.len(), sandboxes.len());
}

#[test]
fn nothing_is_left_of_a_dropped_sandbox() {
    let devices = || -> BTreeSet<_> {
        fs::read_dir("/dev").unwrap().flatten().map(|entry| entry.file_name()).collect()
    };
    let before = devices();
    let sandbox = boot(builder());
    let traces = Traces::of(sandbox.pid());
    drop(sandbox);
    traces.assert_gone();
    assert_eq!(devices(), before);
}

#[test]
fn nothing_is_left_of_a_sandbox_whose_owner_is_killed() {
    const THIS: &str = "nothing_is_left_of_a_sandbox_whose_owner_is_killed";
    if std::env::var_os(OWNER).is_some() {
        let sandbox = boot(builder());
        // Past the capture of the test harness, which would keep it from the pipe.
        eprintln!("sandbox {}", sandbox.pid());
        loop {
            thread::park();
        }
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS, "--nocapture"])
        .env(OWNER, "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stderr.take().unwrap()).lines().map_while(Result::ok);
    let pid = lines.find_map(|line| line.strip_prefix("sandbox ")?.parse().ok());
    let traces = Traces::of(pid.expect("the owner boots a sandbox"));
    owner.kill().unwrap();
    owner.wait().unwrap();
    traces.assert_gone();
}

#[test]
fn a_sandbox_dies_with_its_keeper_and_the_next_boot_sweeps() {
    let sandbox = boot(builder());
    let traces = Traces::of(sandbox.pid());
    kill(traces.keeper);
    wait_for_death(i32::try_from(sandbox.pid()).unwrap());
    traces.processes.iter().for_each(|pid| wait_for_death(*pid));
    traces.assert_all_dead();
    drop(sandbox);
    drop(boot(builder()));
    traces.assert_gone();
}

#[test]
fn the_clock_of_the_host_is_out_of_reach() {
    /// `CAP_SYS_TIME`, `CAP_SYS_MODULE`, `CAP_SYS_RAWIO`, `CAP_MKNOD`, `CAP_SYSLOG`, by their
    /// numbers in linux/capability.h.
    const FORBIDDEN: u64 = 1 << 25 | 1 << 16 | 1 << 17 | 1 << 27 | 1 << 34;
    let sandbox = boot(builder());
    let assert_without = |status: &str| {
        for field in ["CapBnd:", "CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            assert_eq!(u64::from_str_radix(line.trim(), 16).unwrap() & FORBIDDEN, 0, "{status}");
        }
    };
    let own = ["cat", "/proc/self/status"];
    assert_without(&says(&sandbox, &["cat", "/proc/1/status"]));
    assert_without(&says(&sandbox, &own));
    assert_without(&says(
        &sandbox,
        &[&["systemd-run", "--pipe", "--wait", "--quiet"], &own[..]].concat(),
    ));
}

#[test]
fn the_kernel_of_the_host_cannot_be_configured_but_its_own_network_can() {
    let sandbox = boot(builder());
    let write = |path: &str| sandbox.run(["sh", "-c", &format!("cat {path} > {path}")]).unwrap();
    assert!(!write("/proc/sys/vm/swappiness").success());
    assert!(write("/proc/sys/net/ipv4/ip_forward").success());
    assert!(!sandbox.run(["chmod", "600", "/dev/null"]).unwrap().success());
}

#[test]
fn the_journal_and_the_bus_answer() {
    let sandbox = boot(builder());
    says(&sandbox, &["systemd-cat", "--identifier=probe", "echo", "good morning"]);
    says(&sandbox, &["journalctl", "--sync"]);
    let lines = says(&sandbox, &["journalctl", "--identifier=probe", "--output=cat"]);
    assert_eq!(lines, "good morning");
    let systemd = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1"];
    let property = ["org.freedesktop.systemd1.Manager", "SystemState"];
    let state = says(&sandbox, &[&["busctl", "get-property"], &systemd[..], &property].concat());
    assert_eq!(state, "s \"running\"");
}

#[test]
fn a_thread_in_its_network_sees_its_loopback_alone() {
    let sandbox = boot(builder());
    let listener = sandbox.in_network(|| {
        let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let devices =
            devices.lines().skip(2).map(|line| line.split(':').next().unwrap().trim().to_owned());
        (std::net::TcpListener::bind("127.0.0.1:80").unwrap(), devices.collect::<Vec<_>>())
    });
    let (listener, devices) = listener.unwrap().join().unwrap().unwrap();
    // Tunnels that the kernel gives to each network namespace lie there, down.
    assert!(devices.contains(&"lo".to_owned()), "{devices:?}");
    let up = says(&sandbox, &["sh", "-c", "grep -l up /sys/class/net/*/operstate || true"]);
    assert_eq!(up, "");
    // A socket made there can be reached there.
    let hello = "exec 3<>/dev/tcp/127.0.0.1/80; echo hello >&3";
    says(&sandbox, &["bash", "-c", hello]);
    let mut line = String::new();
    BufReader::new(listener.accept().unwrap().0).read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
}

#[test]
fn a_memory_limit_kills() {
    let sandbox = boot(builder());
    if !sandbox.memory_limits_work() {
        eprintln!("SKIPPED: this machine has no memory controller to give to a sandbox");
        return;
    }
    let limits = ["-p", "MemoryMax=16M", "-p", "MemorySwapMax=0"];
    // Reads a line that never ends.
    let hog = ["--unit=hog", "--wait", "--quiet", "tail", "/dev/zero"];
    assert!(!sandbox.run([&["systemd-run"], &limits[..], &hog].concat()).unwrap().success());
    let status = ["systemctl", "show", "--value", "--property=ExecMainStatus", "hog"];
    assert_eq!(says(&sandbox, &status), "9");
}

#[test]
fn a_shutdown_stops_services_properly() {
    let shared = tempfile::tempdir().unwrap();
    let sandbox = boot(builder().bind(shared.path(), "/srv/shared"));
    let traces = Traces::of(sandbox.pid());
    let stop = "--property=ExecStop=sh -c 'echo stopped > /srv/shared/stopped'";
    says(&sandbox, &["systemd-run", "--unit=polite", stop, "sleep", "infinity"]);
    sandbox.shutdown().unwrap();
    assert_eq!(fs::read_to_string(shared.path().join("stopped")).unwrap(), "stopped\n");
    traces.assert_gone();
}

#[test]
fn the_files_of_the_host_are_seen_and_never_touched() {
    let sandbox = boot(builder());
    assert_eq!(sandbox.read("/etc/passwd").unwrap(), fs::read("/etc/passwd").unwrap());
    let new = format!("/var/lib/romuo-test-{}/file", std::process::id());
    sandbox.write(&new, "inside").unwrap();
    assert_eq!(sandbox.read(&new).unwrap(), b"inside");
    assert!(!Path::new(&new).exists());
    // `/var/run` is an absolute symlink to `/run`: inside it leads to the sandbox's.
    let run = format!("romuo-test-{}", std::process::id());
    sandbox.write(Path::new("/var/run").join(&run), "inside").unwrap();
    assert_eq!(says(&sandbox, &["cat", &format!("/run/{run}")]), "inside");
    assert!(!Path::new("/run").join(run).exists());
}

#[test]
fn programs_and_binds_come_from_anywhere_on_the_host() {
    let host = tempfile::tempdir().unwrap();
    let script = host.path().join("script");
    fs::write(&script, "#!/bin/sh\ncat /srv/site/index.html\n").unwrap();
    fs::write(host.path().join("index.html"), "<h1>it works</h1>").unwrap();
    let program = "/opt/shop/bin/show";
    let sandbox =
        boot(builder().program(&script, program).bind_read_only(host.path(), "/srv/site"));
    assert_eq!(says(&sandbox, &[program]), "<h1>it works</h1>");
    assert!(!sandbox.run(["touch", "/srv/site/new"]).unwrap().success());
    // As a deploy does: a new file takes the place of the old one.
    says(
        &sandbox,
        &["sh", "-c", &format!("cp /bin/true {program}.new && mv {program}.new {program}")],
    );
    assert_eq!(says(&sandbox, &[program]), "");
}

#[test]
fn a_command_is_in_the_cgroups_of_the_sandbox() {
    let sandbox = boot(builder());
    let cgroups = says(&sandbox, &["cat", "/proc/self/cgroup"]);
    assert!(!cgroups.contains(".."), "{cgroups}");
    // systemd can move it.
    let scope = ["systemd-run", "--quiet", "--scope", "--unit=mine", "cat", "/proc/self/cgroup"];
    let cgroups = says(&sandbox, &scope);
    assert!(cgroups.contains("0::/system.slice/mine.scope"), "{cgroups}");
}

#[test]
fn killing_a_command_kills_the_program_inside() {
    let sandbox = boot(builder());
    let mut sleep = sandbox.command("sleep");
    let mut sleep = sleep.arg("infinity").stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = sleep.stdout.take().unwrap();
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    // The end of file comes when the last holder is dead.
    assert_eq!(stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn a_sandbox_boots_on_a_host_that_runs_systemd() {
    let outer = boot(with_tests(builder()));
    for test in [
        "a_sandbox_boots_a_systemd_that_runs",
        "nothing_is_left_of_a_dropped_sandbox",
        "nothing_is_left_of_a_sandbox_whose_owner_is_killed",
        "a_memory_limit_kills",
    ] {
        let inner = outer.run([TESTS, "--exact", test, "--nocapture"]).unwrap();
        assert!(inner.stdout.contains("1 passed"), "{}{}", inner.stdout, inner.stderr);
    }
    // The scopes are gone, and systemd removed what they had in the cgroup tree.
    let list = ["systemctl", "list-units", "--type=scope", "--plain", "--no-legend", "run-*"];
    assert_eq!(says(&outer, &list), "");
}

#[test]
fn a_sandbox_boots_on_cgroup_v2_alone_and_so_does_one_in_it() {
    let outer = boot(with_tests(builder()).hierarchy(Hierarchy::Unified));
    assert_eq!(says(&outer, &["stat", "-f", "-c", "%T", "/sys/fs/cgroup"]), "cgroup2fs");
    assert_eq!(says(&outer, &["systemctl", "is-system-running"]), "running");
    for test in ["a_sandbox_boots_a_systemd_that_runs", "nothing_is_left_of_a_dropped_sandbox"] {
        let inner = outer.run([TESTS, "--exact", test, "--nocapture"]).unwrap();
        assert!(inner.stdout.contains("1 passed"), "{}{}", inner.stdout, inner.stderr);
    }
}

#[test]
fn without_root_the_error_says_so() {
    const THIS: &str = "without_root_the_error_says_so";
    if !rustix::process::geteuid().is_root() {
        let error = builder().boot().unwrap_err();
        assert_eq!(error, SandboxError::NotRoot);
        assert_eq!(error.help().unwrap().to_string(), "run it with sudo");
        return;
    }
    let sandbox = boot(with_tests(builder()));
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let test = sandbox.run([&nobody[..], &[TESTS, "--exact", THIS, "--nocapture"]].concat());
    let test = test.unwrap();
    assert!(test.stdout.contains("1 passed"), "{}{}", test.stdout, test.stderr);
}

#[test]
fn a_boot_that_fails_shows_the_end_of_the_console() {
    let host = tempfile::tempdir().unwrap();
    let script = host.path().join("script");
    fs::write(&script, "#!/bin/sh\necho I am no systemd\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let error = builder().program(&script, "/usr/lib/systemd/systemd").boot().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.ends_with("I am no systemd"), "{text}");
}

#[test]
fn a_unit_that_fails_on_the_way_up_is_named() {
    let host = tempfile::tempdir().unwrap();
    let unit = host.path().join("unit");
    let lines = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/false\n";
    fs::write(&unit, lines).unwrap();
    let place = "/usr/lib/systemd/system/systemd-tmpfiles-setup.service";
    let error = builder().bind_read_only(&unit, place).boot().unwrap_err();
    let text = error.to_string();
    let start = "systemd came up degraded in the sandbox: systemd-tmpfiles-setup.service";
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn what_is_missing_on_the_host_is_named() {
    let error = builder().bind("/does/not/exist", "/srv/site").boot().unwrap_err();
    let text = "cannot bring /does/not/exist into the sandbox: No such file or directory";
    assert!(error.to_string().starts_with(text), "{error}");
}

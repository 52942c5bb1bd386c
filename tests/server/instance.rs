//! Instances as systemd starts them: with a shared listening socket, a notify socket each, and
//! the folder of their control sockets.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What a test waits for at the most before it fails; never waited for by one that passes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Passes the socket on stdin as descriptor 3, as systemd does: `LISTEN_PID` has to be the pid of
/// the server, which the shell becomes.
const PASS: &str = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ exec "$0" "$@""#;

/// A folder with a configuration, and a listening socket.
pub(crate) struct Machine {
    folder: TempDir,
    listener: TcpListener,
}

impl Machine {
    /// With these tables in the configuration.
    pub(crate) fn new(tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        std::fs::create_dir_all(&site).unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        std::fs::write(site.join("index.html"), "hello").unwrap();
        std::fs::write(site.join("large.bin"), "x".repeat(super::load::LARGE)).unwrap();
        let config = format!("name = \"romuo\"\n{tables}\n[static]\nroot = \"site\"\n");
        std::fs::write(folder.path().join("romuo.toml"), config).unwrap();
        Self { folder, listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    /// With an app of its own, and these tables in the configuration.
    pub(crate) fn of_app(tables: &str) -> Self {
        let machine = Self::new("");
        fs::copy("tests/server/app.py", machine.file("app.py")).unwrap();
        let command = "command = [\"/usr/bin/python3\", \"app.py\"]\nname = \"romuo\"\n";
        fs::write(machine.file("romuo.toml"), format!("{command}{tables}")).unwrap();
        machine
    }

    /// A file in the folder of the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `romuo-server` with other arguments, as a unit of the instance runs it.
    pub(crate) fn server(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_romuo-server"));
        command.args(arguments).env("RUNTIME_DIRECTORY", self.runtime());
        command
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The control socket of an instance.
    pub(crate) fn control(&self, id: &str) -> PathBuf {
        self.runtime().join(format!("{id}.sock"))
    }

    /// Where an instance takes over the idle connections of others.
    pub(crate) fn idle_door(&self, id: &str) -> PathBuf {
        self.runtime().join(format!("{id}.idle.sock"))
    }

    fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Starts an instance.
    pub(crate) fn start(&self, id: &str) -> Instance {
        self.start_with(id, &[])
    }

    /// Starts an instance with more in its environment.
    pub(crate) fn start_with(&self, id: &str, environment: &[(&str, &str)]) -> Instance {
        let notify = self.runtime().join(format!("notify-{id}"));
        let _ = std::fs::remove_file(&notify);
        let messages = UnixDatagram::bind(&notify).unwrap();
        messages.set_read_timeout(Some(DEADLINE)).unwrap();
        let child = self
            .command(id)
            .env("NOTIFY_SOCKET", &notify)
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        Instance { child: Some(child), messages }
    }

    /// Starts an instance and waits until it is ready.
    pub(crate) fn ready(&self, id: &str) -> Instance {
        let instance = self.start(id);
        instance.wait_for_message("READY=1\n");
        instance
    }

    /// Starts an instance that does not come up; what it says.
    pub(crate) fn refused(&self, id: &str, environment: &[(&str, &str)]) -> String {
        let mut command = self.command(id);
        let output = command
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    fn command(&self, id: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", PASS, env!("CARGO_BIN_EXE_romuo-server"), "--config"])
            .arg(self.folder.path().join("romuo.toml"))
            .args(["--instance", id])
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "http")
            .env("RUNTIME_DIRECTORY", self.runtime())
            .env_remove("WATCHDOG_USEC")
            .env_remove("NOTIFY_SOCKET")
            .stdin(OwnedFd::from(self.listener.try_clone().unwrap()))
            .stderr(Stdio::null());
        command
    }

    /// Waits until the instance holds a public connection.
    pub(crate) fn wait_until_accepted(&self, instance: &Instance) {
        self.wait_for_holder(std::slice::from_ref(instance));
    }

    /// Waits until one of the instances holds a public connection; which one. There is no event
    /// for it outside of the server, so the kernel's table of descriptors is looked at.
    pub(crate) fn wait_for_holder(&self, instances: &[Instance]) -> usize {
        let end = std::time::Instant::now() + DEADLINE;
        loop {
            let held = instances.iter().position(|instance| {
                let table = format!("/proc/{}/net/tcp", instance.pid().as_raw_nonzero());
                let sockets = std::fs::read_to_string(table).unwrap();
                let port = format!(":{:04X} ", self.address().port());
                // Established ones with the server's port as their own.
                let inodes: Vec<String> = sockets
                    .lines()
                    .map(|line| line.split_whitespace().collect::<Vec<_>>())
                    .filter(|fields| fields.len() > 9 && fields[3] == "01")
                    .filter(|fields| format!("{} ", fields[1]).ends_with(&port))
                    .map(|fields| format!("socket:[{}]", fields[9]))
                    .collect();
                descriptors(instance.pid()).iter().any(|held| inodes.contains(held))
            });
            if let Some(holder) = held {
                return holder;
            }
            assert!(std::time::Instant::now() < end, "nobody accepted the connection");
            std::thread::yield_now();
        }
    }
}

/// What the descriptors of a process are.
fn descriptors(pid: Pid) -> Vec<String> {
    let folder = format!("/proc/{}/fd", pid.as_raw_nonzero());
    std::fs::read_dir(Path::new(&folder))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// A running instance.
pub(crate) struct Instance {
    child: Option<Child>,
    messages: UnixDatagram,
}

impl Instance {
    /// A place that is taken by nobody.
    pub(crate) fn none() -> Self {
        Self { child: None, messages: UnixDatagram::unbound().unwrap() }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// The next message to systemd.
    pub(crate) fn next_message(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.messages.recv(&mut bytes).expect("no message to systemd came");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// Reads messages until one begins so.
    pub(crate) fn wait_for_message(&self, start: &str) {
        while !self.next_message().starts_with(start) {}
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            end_app(child.id());
        }
    }
}

/// Ends what is left of the app of a front that was killed, as systemd does with its cgroup.
fn end_app(front: u32) {
    let mark = format!("ROMUO_LIFE={front}-");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_its =
            environment.split(|byte| *byte == 0).any(|one| one.starts_with(mark.as_bytes()));
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let (true, Some(pid)) = (is_its, id.and_then(Pid::from_raw)) {
            let _ = kill_process(pid, Signal::KILL);
            // Its parent is gone: whoever adopted it takes note of its end.
            while fs::read(entry.path().join("environ")).is_ok_and(|text| !text.is_empty()) {
                std::thread::yield_now();
            }
        }
    }
}

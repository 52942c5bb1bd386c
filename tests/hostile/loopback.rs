//! Instances as children of this process, on the loopback: quick to start, and nothing confines them. A limit
//! of memory is not enforced here, but its breach is seen.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use romuo::health::swap;
use tempfile::TempDir;

use crate::hostile::ground::{Against, App, Entrance, Ground, INSTANCES, Life, Memory, report};
use crate::hostile::{Result, broken};

/// Passes the socket on stdin as descriptor 3, as systemd does: `LISTEN_PID` has to be the pid of the
/// server, which the shell becomes.
const PASS: &str = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ exec "$0" "$@""#;

/// How long an instance may take to be up.
const START: Duration = Duration::from_secs(30);

/// How long a swap may take.
const SWAP: Duration = Duration::from_secs(60);

/// The instances.
pub(crate) struct Loopback {
    app: App,
    server: PathBuf,
    folder: TempDir,
    listener: TcpListener,
    instances: Vec<Child>,
}

impl Loopback {
    /// Starts them. `programs` is the folder of `romuo-server`.
    pub(crate) fn start(programs: &Path, (against, memory): (Against, Memory)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = std::env::current_exe()?;
        let app = App { against, memory, program, folder: folder.path().to_owned() };
        for (path, content) in app.files() {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(path, content)?;
        }
        fs::create_dir(folder.path().join("log"))?;
        let mut loopback = Self {
            server: programs.join("romuo-server"),
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            instances: Vec::new(),
            app,
            folder,
        };
        fs::write(loopback.config(), loopback.app.config("hostile", None))?;
        loopback.begin()?;
        Ok(loopback)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("romuo.toml")
    }

    fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn control(&self, id: u16) -> PathBuf {
        self.runtime().join(format!("{id}.sock"))
    }

    fn begin(&mut self) -> Result<()> {
        let _ = fs::remove_dir_all(self.runtime());
        fs::create_dir(self.runtime())?;
        for id in 1..=INSTANCES {
            let mut command = Command::new("sh");
            command.args(["-c", PASS]).arg(&self.server).arg("--config").arg(self.config());
            command.args(["--instance", &id.to_string()]);
            command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "http");
            command.env("RUNTIME_DIRECTORY", self.runtime());
            command.env_remove("WATCHDOG_USEC").env_remove("NOTIFY_SOCKET");
            command.stdin(OwnedFd::from(self.listener.try_clone()?)).stdout(Stdio::null());
            let said = fs::File::create(self.folder.path().join(format!("{id}.log")))?;
            self.instances.push(command.stderr(said).spawn()?);
        }
        let begun = Instant::now();
        while !(1..=INSTANCES).all(|id| self.is_up(id)) {
            if begun.elapsed() > START {
                let said = fs::read_to_string(self.folder.path().join("1.log"))?;
                return Err(broken(format!("the instances do not get ready: {said}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn is_up(&self, id: u16) -> bool {
        let is_well = |report: romuo::health::Report| report.app.is_none_or(|app| app.healthy);
        report(&self.control(id)).is_ok_and(is_well)
    }

    fn end(&mut self) {
        for mut child in self.instances.drain(..) {
            let children = tree(child.id());
            let _ = child.kill();
            let _ = child.wait();
            for orphan in children.iter().skip(1) {
                kill(*orphan);
            }
        }
    }
}

impl Ground for Loopback {
    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn entrance(&self) -> Result<Entrance> {
        Ok(Box::new(|| Ok(())))
    }

    fn memory(&self) -> Vec<u64> {
        self.gauge()()
    }

    fn gauge(&self) -> Box<dyn Fn() -> Vec<u64> + Send> {
        let pids: Vec<u32> = self.instances.iter().map(Child::id).collect();
        Box::new(move || {
            pids.iter().map(|pid| tree(*pid).into_iter().map(anonymous).sum()).collect()
        })
    }

    fn lives(&self) -> Result<Vec<Life>> {
        let all = (1..).zip(&self.instances);
        all.map(|(id, child)| {
            let report = report(&self.control(id))?;
            let app_restarts = report.app.map_or(0, |app| app.restarts);
            Ok(Life { is: format!("process {}", child.id()), app_restarts })
        })
        .collect()
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.app.log()).unwrap_or_default())
    }

    fn reload(&self) -> Result<Duration> {
        let begun = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for id in 1..=INSTANCES {
            let swapped = runtime.block_on(swap(&self.control(id), SWAP));
            swapped.map_err(|error| broken(format!("instance {id} was not swapped: {error}")))?;
        }
        Ok(begun.elapsed())
    }

    fn recover(&mut self) -> Result<()> {
        self.end();
        self.begin()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process and all below it.
fn tree(pid: u32) -> Vec<u32> {
    // Each thread has its own.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children: String = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .collect();
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).flat_map(tree);
    std::iter::once(pid).chain(below).collect()
}

/// Bytes of memory that are the process's own; the pages of its program are not.
fn anonymous(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

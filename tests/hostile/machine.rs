//! Instances as units of a real systemd, on a throwaway machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use romuo::sandbox::Sandbox;

use crate::hostile::ground::{Against, App, Entrance, Ground, INSTANCES, Life, Memory, report};
use crate::hostile::{Result, broken};

/// Where the app listens.
const ADDRESS: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 3000));

/// Where its files lie.
const FOLDER: &str = "/srv/hostile";

/// Where the hostile app lies.
const PROGRAM: &str = "/usr/local/bin/hostile";

/// The app, as its units are called.
const APP: &str = "hostile";

/// How many closed connections keep their ports for a minute (TIME_WAIT; tcp(7)), of the network that one is in.
/// The clients of a crowd end theirs themselves: without a bound a few rows leave no port to the next one.
const MOST_WAITING: &str = "/proc/sys/net/ipv4/tcp_max_tw_buckets";

/// How long an instance may take to start.
const PASSING: Duration = Duration::from_secs(15);

/// How often its state is asked meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// The machine with one app at a time.
pub(crate) struct Machine {
    sandbox: Rc<Sandbox>,
    app: App,
    /// Where the figures of each instance's memory lie.
    cgroups: Vec<PathBuf>,
}

/// Boots a machine with romuo's programs, which lie in the folder `programs`.
pub(crate) fn boot(programs: &Path) -> Result<Sandbox> {
    let romuoctl = programs.join("romuoctl");
    let sandbox = Sandbox::builder(&romuoctl)
        .program(&romuoctl, "/usr/local/bin/romuoctl")
        .program(programs.join("romuo-server"), "/usr/local/bin/romuo-server")
        .program(std::env::current_exe()?, PROGRAM)
        .boot()?;
    if !sandbox.memory_limits_work() {
        return Err(broken("limits of memory do not work here: nothing would be shown".into()));
    }
    let entrance = sandbox.network_entrance()?;
    let setting = std::thread::spawn(move || {
        entrance()?;
        fs::write(MOST_WAITING, "1024")
    });
    setting.join().map_err(|_| broken("the network of the machine was not entered".into()))??;
    Ok(sandbox)
}

impl Machine {
    /// Installs the app and starts it.
    pub(crate) fn start(
        sandbox: &Rc<Sandbox>,
        (against, memory): (Against, Memory),
    ) -> Result<Self> {
        let app = App { against, memory, program: PROGRAM.into(), folder: FOLDER.into() };
        for (path, content) in app.files() {
            sandbox.write(path, content)?;
        }
        let mut machine = Self { sandbox: Rc::clone(sandbox), app, cgroups: Vec::new() };
        // Written by the app's dynamic user.
        machine.sh(&format!(
            "mkdir -p {FOLDER}/log && touch {FOLDER}/log/hits && chmod -R a+rwX {FOLDER}/log"
        ))?;
        let config = machine.app.config(APP, Some(ADDRESS));
        sandbox.write(format!("{FOLDER}/romuo.toml"), config)?;
        machine.sh(&format!("cd {FOLDER} && romuoctl install-units --now"))?;
        machine.begin()?;
        Ok(machine)
    }

    fn sh(&self, command: &str) -> Result<String> {
        let output = self.sandbox.run(["sh", "-c", command])?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(broken(format!("`{command}` failed: {}{}", output.stdout, output.stderr)))
    }

    fn property(&self, id: u16, property: &str) -> Result<String> {
        let shown = self.sh(&format!("systemctl show --value -p {property} {APP}@{id}.service"))?;
        Ok(shown.trim().to_owned())
    }

    /// Finds where the figures are.
    fn begin(&mut self) -> Result<()> {
        let groups = (1..=INSTANCES).map(|id| self.property(id, "ControlGroup"));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        self.cgroups = groups.iter().map(|group| self.figures(group)).collect();
        Ok(())
    }

    fn life(&self, id: u16) -> Result<Life> {
        if self.app.against == Against::Inherit {
            // Each death of the app is one of the instance.
            return Ok(Life { is: self.state(id)?, app_restarts: 0 });
        }
        let (state, invocation) = (self.state(id)?, self.property(id, "InvocationID")?);
        let restarts = self.property(id, "NRestarts")?;
        let control = self.sandbox.path(format!("/run/romuo/{APP}/{id}.sock"));
        let app_restarts = report(&control)?.app.map_or(0, |app| app.restarts);
        Ok(Life { is: format!("{state}, {restarts} restarts, {invocation}"), app_restarts })
    }

    /// The state of an instance, once that is no passing one.
    fn state(&self, id: u16) -> Result<String> {
        let begun = Instant::now();
        loop {
            let state = self.property(id, "ActiveState")?;
            if !state.ends_with("ing") || begun.elapsed() > PASSING {
                return Ok(state);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The folder of the memory's figures, of version 1 of cgroups or of version 2.
    fn figures(&self, group: &str) -> PathBuf {
        let group = group.trim_start_matches('/');
        let v1 = self.sandbox.path("/sys/fs/cgroup/memory").join(group);
        if v1.join("memory.usage_in_bytes").exists() {
            return v1;
        }
        self.sandbox.path("/sys/fs/cgroup").join(group)
    }
}

impl Ground for Machine {
    fn address(&self) -> SocketAddr {
        ADDRESS
    }

    fn entrance(&self) -> Result<Entrance> {
        Ok(Box::new(self.sandbox.network_entrance()?))
    }

    fn memory(&self) -> Vec<u64> {
        self.gauge()()
    }

    fn relieve(&self) {
        for folder in &self.cgroups {
            // Of version 1 of cgroups, and of version 2. The names and inodes that the kernel remembers of files
            // that were open are in no figure of version 1.
            let _ = fs::write(folder.join("memory.force_empty"), "0");
            let _ = fs::write(folder.join("memory.reclaim"), "1G");
        }
    }

    fn gauge(&self) -> Box<dyn Fn() -> Vec<u64> + Send> {
        let cgroups = self.cgroups.clone();
        Box::new(move || cgroups.iter().map(|folder| used(folder)).collect())
    }

    fn lives(&self) -> Result<Vec<Life>> {
        (1..=INSTANCES).map(|id| self.life(id)).collect()
    }

    fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.sandbox.read(self.app.log())?).into_owned())
    }

    fn reload(&self) -> Result<Duration> {
        let begun = Instant::now();
        self.sh(&format!("romuoctl --app {APP} reload"))?;
        Ok(begun.elapsed())
    }

    fn recover(&mut self) -> Result<()> {
        // An errored instance is let through where somebody starts it by hand.
        let restart = format!("romuoctl --app {APP} restart");
        self.sh(&format!("{restart} || {{ systemctl reset-failed; {restart}; }}"))?;
        self.begin()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Where it fails, the machine goes too, or the next install says why.
        let gone = format!("romuoctl --app {APP} uninstall-units; rm -rf {FOLDER}");
        let _ = self.sh(&gone);
    }
}

/// What a cgroup holds, less the pages of files, which the kernel takes back before it kills.
fn used(folder: &Path) -> u64 {
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let is_v1 = folder.join("memory.usage_in_bytes").exists();
    let (figure, prefix) =
        if is_v1 { ("memory.usage_in_bytes", "total_") } else { ("memory.current", "") };
    let files = [format!("{prefix}inactive_file "), format!("{prefix}active_file ")];
    let stat = read("memory.stat");
    let taken_back = stat.lines().filter_map(|line| {
        files.iter().find_map(|name| line.strip_prefix(name.as_str()))?.parse::<u64>().ok()
    });
    let all: u64 = read(figure).trim().parse().unwrap_or(0);
    all.saturating_sub(taken_back.sum())
}

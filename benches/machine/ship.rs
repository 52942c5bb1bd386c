//! What a deploy costs, beside PM2: an app of 5000 files and 200 MB, most of which did not change, in two
//! instances.
//!
//! | figure | goal |
//! |---|---|
//! | a deploy, less the roll and the start of its candidate | below 1 s |
//! | a rollback, against a bare roll | at most 1.1 times |
//! | `pm2 deploy`, end to end, against a deploy | told |
//!
//! Nothing is built and nothing is watched: both take the time that somebody asks for.

use std::error::Error;
use std::time::Instant;

use romuo::sandbox::Sandbox;
use serde_json::Value;

use super::{PM2, median, run};

/// What does not change: 50 folders with 100 files of 40 kB each.
const TREE: &str = "mkdir -p node_modules && cd node_modules && for i in $(seq 50); do mkdir p$i && \
     head -c 4000000 /dev/zero | tr '\\0' x | split -a 3 -b 40000 - p$i/f; done";

/// The app: no handler of signals, nothing of sockets handed down. It says which release it is.
const APP: &str = "require('http').createServer((q, s) => s.end('VERSION'))\
                   .listen(process.env.PORT)\n";

const CONFIG: &str = "name = \"shop\"\ncommand = [\"node\", \"app.js\"]\nlisten = [\"127.0.0.1:3002\"]\n\
     [health]\npath = \"/\"\n[deploy]\nwatch = \"0s\"\n";

/// What `pm2 deploy` does on the machine that it logs in to.
const PEER: &str = "cd /srv/peer && git fetch -q && git reset -q --hard origin/main && \
     /opt/pm2/node_modules/.bin/pm2 reload peer -s";

/// How often each is measured; the median counts.
const ROUNDS: usize = 9;

pub(super) fn compare(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let machine = Machine(sandbox);
    machine.set_up()?;

    let (mut over, mut whole, mut rolls, mut backs, mut peers) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        machine.commit(round)?;
        let deployed = machine.timed(&["romuoctl", "--app", "shop", "deploy", "-o", "json"])?;
        let answer: Value = serde_json::from_str(&deployed.said)?;
        let step = |name: &str| -> f64 {
            let steps = answer["steps"].as_array().into_iter().flatten();
            let found = steps.filter(|step| step["name"] == name);
            found.filter_map(|step| step["took_ms"].as_f64()).sum()
        };
        let (roll, start) = (step("roll"), machine.start()?);
        over.push(deployed.took - roll - start);
        whole.push(deployed.took);
        rolls.push(machine.timed(&["romuoctl", "--app", "shop", "reload"])?.took);
        backs.push(machine.timed(&["romuoctl", "--app", "shop", "rollback", "-q"])?.took);
        let newest = answer["release"].as_str().ok_or("a deploy names no release")?;
        machine.timed(&["romuoctl", "--app", "shop", "rollback", "-q", newest])?;
        peers.push(machine.timed(&["sh", "-c", PEER])?.took);
    }
    let [over, whole, roll, back, peer] = [over, whole, rolls, backs, peers].map(median);
    println!(
        "a deploy of 5000 files, 200 MB:  {whole:7.0} ms, {over:.0} ms of it beyond the roll and a start (goal 1000)"
    );
    println!("a bare roll:                     {roll:7.0} ms");
    println!(
        "a rollback:                      {back:7.0} ms, {:.2} of a bare roll (goal 1.10)",
        back / roll
    );
    println!(
        "fetch, checkout, `pm2 reload`:   {peer:7.0} ms, a deploy takes {:.2} of that",
        whole / peer
    );
    Ok(())
}

/// The machine with both on it.
struct Machine<'a>(&'a Sandbox);

/// What a command said, and how long it took, in milliseconds.
struct Timed {
    said: String,
    took: f64,
}

impl Machine<'_> {
    /// Both run the app: romuo from its folder, which is a repository, PM2 from a clone of it.
    fn set_up(&self) -> Result<(), Box<dyn Error>> {
        self.0.write("/srv/shop/romuo.toml", CONFIG)?;
        run(self.0, &["sh", "-c", &format!("cd /srv/shop && {TREE}")])?;
        self.write_app(0)?;
        run(self.0, &["sh", "-c", "cd /srv/shop && git init -q -b main && git add -A"])?;
        self.git("commit -qm begin")?;
        run(self.0, &["git", "clone", "-q", "/srv/shop", "/srv/peer"])?;
        run(self.0, &["romuoctl", "-c", "/srv/shop/romuo.toml", "install-units", "--now"])?;
        run(
            self.0,
            &["env", "PORT=3003", PM2, "start", "/srv/peer/app.js", "-n", "peer", "-i", "2", "-s"],
        )?;
        // From here on the app runs a release, and there is one to link to.
        run(self.0, &["romuoctl", "-c", "/srv/shop/romuo.toml", "deploy", "-q"]).map(|_| ())
    }

    /// A new release: the app, and one file of its libraries.
    fn commit(&self, round: usize) -> Result<(), Box<dyn Error>> {
        self.write_app(round)?;
        self.0.write(format!("/srv/shop/node_modules/p{round}/faaa"), format!("{round}"))?;
        self.git(&format!("commit -qam {round}"))
    }

    fn write_app(&self, round: usize) -> Result<(), Box<dyn Error>> {
        Ok(self.0.write("/srv/shop/app.js", APP.replace("VERSION", &round.to_string()))?)
    }

    fn git(&self, line: &str) -> Result<(), Box<dyn Error>> {
        let line =
            format!("cd /srv/shop && git -c user.name=bench -c user.email=bench@localhost {line}");
        run(self.0, &["sh", "-c", &line]).map(|_| ())
    }

    /// How long an instance takes to start, in milliseconds: a candidate does, too.
    fn start(&self) -> Result<f64, Box<dyn Error>> {
        run(self.0, &["systemctl", "stop", "shop@2"])?;
        Ok(self.timed(&["systemctl", "start", "shop@2"])?.took)
    }

    fn timed(&self, command: &[&str]) -> Result<Timed, Box<dyn Error>> {
        let begun = Instant::now();
        let said = run(self.0, command)?;
        Ok(Timed { said, took: begun.elapsed().as_secs_f64() * 1e3 })
    }
}

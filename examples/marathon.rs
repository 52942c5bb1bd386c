//! A plain Express app without signal handling, rolled again and again: `scripts/marathon` installs
//! what it needs, builds and runs it.
//!
//! Boots a throwaway machine with a real systemd, installs the app of `tests/apps/express` with two
//! instances, and under the load of many kinds of clients that never retry
//!
//! 1. rolls it by swap: no request is lost, and no client that keeps its connection has to open
//!    another one;
//! 2. rolls it by restart: no request is lost;
//! 3. kills the app of one instance after the other with SIGKILL: no GET is lost.
//!
//! Usage: `marathon [SWAPS [RESTARTS [KILLS]]]`, by default 20, 20 and 10.

mod shared;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use http::uri::PathAndQuery;
use romuo::load::{self, Body, Connection, Kind, Mix, Report, Request, Running, Site};
use romuo::sandbox::Sandbox;
use shared::{ADDRESS, meanwhile, run, shown};

/// Rolls by swap, rolls by restart and kills where nothing else is said.
const ROUNDS: [usize; 3] = [20, 20, 10];

/// Time after which a load gives up.
const LONGEST: Duration = Duration::from_secs(900);

/// What the app answers to a GET of `/large`, in bytes.
const LARGE: u64 = 8 << 20;

/// Good answers between two kills: enough for both instances to have had many.
const BETWEEN_KILLS: u64 = 500;

fn main() -> ExitCode {
    let mut rounds = ROUNDS;
    for (round, text) in rounds.iter_mut().zip(std::env::args().skip(1)) {
        match text.parse() {
            Ok(count) => *round = count,
            Err(error) => {
                eprintln!("marathon: {text:?} is no number: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    match marathon(rounds) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("marathon: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no request was lost, and by swap no connection.
fn marathon([swaps, restarts, kills]: [usize; 3]) -> Result<bool, Box<dyn Error>> {
    println!("booting a throwaway machine with a real systemd");
    let sandbox = machine()?;
    print!(
        "{}",
        shown(&sandbox, &["sh", "-c", "cd /srv/express && romuoctl install-units --now"])?
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let machine = Machine { sandbox };
    let outcome = runtime.block_on(async {
        let swapped = machine.rolls(swaps, "swap").await?;
        let moved = moved(&swapped);
        println!("{swapped}\n{swaps} rolls by swap: {}, {moved} reconnects\n", outcome(&swapped));

        machine.restart_from_now_on()?;
        let restarted = machine.rolls(restarts, "restart").await?;
        println!("{restarted}\n{restarts} rolls by restart: {}\n", outcome(&restarted));

        let killed = machine.kills(kills).await?;
        println!("{killed}\n{kills} kills of the app: {}\n", outcome(&killed));
        Ok::<_, Box<dyn Error>>((moved, [swapped, restarted, killed]))
    });
    let (moved, reports) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let journal = run(&machine.sandbox, &["journalctl", "--no-pager", "-n", "200"]);
            eprintln!("{}", journal.unwrap_or_default());
            return Err(error);
        }
    };
    let sum = |figure: fn(&Report) -> u64| reports.iter().map(figure).sum::<u64>();
    let (sent, lost) = (sum(Report::sent), sum(Report::lost));
    if lost > 0 {
        eprintln!("{}", run(&machine.sandbox, &["journalctl", "--no-pager"])?);
    }
    machine.sandbox.shutdown()?;
    println!("{sent} requests sent, {lost} lost, {moved} reconnects by swap");
    Ok(lost == 0 && moved == 0)
}

fn outcome(report: &Report) -> String {
    format!("{} requests sent, {} lost", report.sent(), report.lost())
}

/// Connections that HTTP clients who keep theirs had to open besides their first ones.
fn moved(report: &Report) -> u64 {
    let kept = report.by_kind().iter().filter(|kind| kind.keep_alive);
    kept.map(|kind| kind.figures.connections.saturating_sub(kind.clients as u64)).sum()
}

/// Boots the machine, with the app in `/srv/express`.
fn machine() -> Result<Sandbox, Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let libraries = repository.join("target/apps/express/node_modules");
    if !libraries.is_dir() {
        return Err(format!("no {}: run scripts/setup-apps first", libraries.display()).into());
    }
    let sandbox =
        shared::machine()?.bind_read_only(libraries, "/srv/express/node_modules").boot()?;
    for file in ["server.js", "package.json", "romuo.toml"] {
        let content = std::fs::read(repository.join("tests/apps/express").join(file))?;
        sandbox.write(Path::new("/srv/express").join(file), content)?;
    }
    Ok(sandbox)
}

/// The machine on which the app runs.
struct Machine {
    sandbox: Sandbox,
}

impl Machine {
    /// Rolls so many times under mixed load, and ends the load.
    async fn rolls(&self, count: usize, how: &str) -> Result<Report, Box<dyn Error>> {
        let load = self.load(Mix::standard(ADDRESS, &site()))?;
        for number in 1..=count {
            // A roll is worth nothing if no load meets it.
            load.until_each_answered(1).await?;
            meanwhile(&self.sandbox, &["systemctl", "reload", "express.target"]).await?;
            let (sent, lost) = (load.requests_sent(), load.requests_lost());
            println!("roll {number} by {how}; {sent} requests sent so far, {lost} lost");
        }
        load.until_each_answered(1).await?;
        Ok(load.stop().await)
    }

    /// Has systemd restart the instances in each further roll.
    fn restart_from_now_on(&self) -> Result<(), Box<dyn Error>> {
        let path = "/srv/express/romuo.toml";
        let text = String::from_utf8(self.sandbox.read(path)?)?;
        self.sandbox.write(path, format!("{text}\n[reload]\nmethod = \"restart\"\n"))?;
        let install = ["sh", "-c", "cd /srv/express && romuoctl install-units"];
        run(&self.sandbox, &install).map(drop)
    }

    /// Kills the app of one instance after the other under a load of GETs.
    async fn kills(&self, count: usize) -> Result<Report, Box<dyn Error>> {
        let ms = Duration::from_millis;
        let page = site().small;
        let mix = Mix::new(ADDRESS)
            .clients(Kind::KeepAlive { gap: Duration::ZERO }, 4, &page)
            .clients(Kind::KeepAlive { gap: ms(5) }, 8, &page)
            .clients(Kind::NewConnection { gap: ms(5) }, 8, &page)
            .clients(Kind::HalfSent { pause: ms(50), on: Connection::Kept }, 4, &page)
            .clients(Kind::Http2 { streams: 8, gap: ms(10) }, 2, &page);
        let load = self.load(mix)?;
        for number in 1..=count {
            load.until_answered(BETWEEN_KILLS).await?;
            let instance = number % 2;
            let pid = self.pid(instance).await?.ok_or("an instance has no app")?;
            meanwhile(&self.sandbox, &["kill", "-KILL", &pid.to_string()]).await?;
            let back = loop {
                // Each question takes a moment, so this does not spin.
                match self.pid(instance).await? {
                    Some(other) if other != pid => break other,
                    _ => {}
                }
            };
            let lost = load.requests_lost();
            println!("kill {number}: process {pid} became {back}; {lost} requests lost so far");
        }
        load.until_each_answered(1).await?;
        Ok(load.stop().await)
    }

    /// The healthy app of an instance, 0 or 1.
    async fn pid(&self, instance: usize) -> Result<Option<u64>, Box<dyn Error>> {
        // Fails, by its exit code, while an instance is down.
        let health = ["sh", "-c", "romuoctl health -o json || test $? = 3"];
        let health = meanwhile(&self.sandbox, &health).await?;
        let health: serde_json::Value = serde_json::from_str(&health)?;
        let app = &health["instances"][instance]["app"];
        Ok(app["pid"].as_u64().filter(|_| app["healthy"] == true))
    }

    fn load(&self, mix: Mix) -> Result<Running, Box<dyn Error>> {
        let entrance = self.sandbox.network_entrance()?;
        Ok(load::start_on_thread(mix.at_most_for(LONGEST), entrance)?)
    }
}

/// What the clients ask for, and the answers they insist on.
fn site() -> Site {
    let get = |path| Request::get(PathAndQuery::from_static(path));
    Site {
        small: get("/").expecting_body(Body::Exact("It serves.\n".into())),
        large: get("/large").expecting_body(Body::Length(LARGE)),
        upload: Request::post(PathAndQuery::from_static("/upload"), vec![b'x'; 10_000]),
    }
}

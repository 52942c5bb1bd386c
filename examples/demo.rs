//! The main job of romuo, before your eyes; `scripts/demo` builds and runs it.
//!
//! Boots a throwaway machine with a real systemd, installs the units of the site in `examples/site`
//! with `romuoctl install-units`, puts it under the load of many kinds of clients that never retry,
//! and rolls it with `systemctl reload romuo.target`. Fails if a single request was lost.
//!
//! Usage: `demo [REQUESTS]`, the least number of requests to be sent (default 100000).

mod shared;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::uri::PathAndQuery;
use romuo::load::{self, Body, Mix, Report, Request, Site};
use romuo::sandbox::Sandbox;
use shared::{ADDRESS, meanwhile, run, shown};

/// Requests to be sent where no other number is given: enough for a lost one in ten thousand to show.
const REQUESTS: u64 = 100_000;

/// Rolls at the least: one could be luck.
const ROLLS: usize = 3;

/// Time after which the demo gives up.
const LONGEST: Duration = Duration::from_secs(300);

/// Size of the file that is downloaded slowly, in bytes: far more than the sockets' buffers hold, so
/// that the download really lasts.
const LARGE: usize = 8 << 20;

fn main() -> ExitCode {
    let requests = std::env::args().nth(1).map_or(Ok(REQUESTS), |text| text.parse());
    let outcome = match requests {
        Ok(requests) => demo(requests),
        Err(error) => Err(format!("the number of requests is no number: {error}").into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no request was lost.
fn demo(requests: u64) -> Result<bool, Box<dyn Error>> {
    println!("booting a throwaway machine with a real systemd");
    let sandbox = shared::machine()?.boot()?;
    print!("  {}", run(&sandbox, &["systemctl", "--version"])?.lines().next().unwrap_or("systemd"));
    println!(", {}", run(&sandbox, &["systemctl", "is-system-running"])?.trim());

    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/site");
    let page = std::fs::read(site.join("public/index.html"))?;
    sandbox.write("/srv/site/romuo.toml", std::fs::read(site.join("romuo.toml"))?)?;
    sandbox.write("/srv/site/public/index.html", &page)?;
    sandbox.write("/srv/site/public/large.bin", vec![b'.'; LARGE])?;
    print!(
        "{}",
        shown(&sandbox, &["romuoctl", "-c", "/srv/site/romuo.toml", "install-units", "--now"])?
    );

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (report, rolls) = runtime.block_on(roll_under_load(&sandbox, &page, requests))?;
    print!("{}", shown(&sandbox, &["romuoctl", "--no-color", "status"])?);
    sandbox.shutdown()?;

    println!("\n{report}");
    let mean = rolls.iter().sum::<Duration>() / u32::try_from(rolls.len())?;
    println!("{} rolls of 2 instances, {:.1} s each", rolls.len(), mean.as_secs_f64());
    println!("{} requests sent, {} lost", report.sent(), report.lost());
    Ok(report.lost() == 0 && report.sent() >= requests)
}

/// Rolls again and again until enough requests were sent; the report, and how long each roll took.
async fn roll_under_load(
    sandbox: &Sandbox,
    page: &[u8],
    requests: u64,
) -> Result<(Report, Vec<Duration>), Box<dyn Error>> {
    let mix = Mix::standard(ADDRESS, &asked(page));
    let running = load::start_on_thread(mix.at_most_for(LONGEST), sandbox.network_entrance()?)?;
    running.until_each_answered(1).await?;
    let mut rolls = Vec::new();
    while rolls.len() < ROLLS || running.requests_sent() < requests {
        let begun = Instant::now();
        meanwhile(sandbox, &["systemctl", "reload", "romuo.target"]).await?;
        rolls.push(begun.elapsed());
        println!(
            "$ systemctl reload romuo.target   # {:.1} s; {} requests sent so far, {} lost",
            begun.elapsed().as_secs_f64(),
            running.requests_sent(),
            running.requests_lost(),
        );
        // A roll is worth nothing if no load meets it.
        running.until_each_answered(1).await?;
    }
    Ok((running.stop().await, rolls))
}

/// What the clients ask for, and the answers they insist on.
fn asked(page: &[u8]) -> Site {
    let root = PathAndQuery::from_static("/");
    let exactly = Body::Exact(page.to_vec().into());
    Site {
        small: Request::get(root.clone()).expecting_body(exactly),
        large: Request::get(PathAndQuery::from_static("/large.bin"))
            .expecting_body(Body::Length(LARGE as u64)),
        // A static site takes no uploads, but it reads them to the end and says so.
        upload: Request::post(root, vec![b'x'; 10_000]).expecting(StatusCode::METHOD_NOT_ALLOWED),
    }
}

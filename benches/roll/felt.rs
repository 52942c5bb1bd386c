//! What clients feel of a roll.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use romuo::load::{self, Kind, Mix, Report, Request};
use romuo::sandbox::Sandbox;
use tokio::runtime::Runtime;

/// Clients, and slices of load; the median of the slices' ratios counts.
const CLIENTS: usize = 8;
const SLICES: usize = 9;

/// Rolls in a slice.
const ROLLS: usize = 3;

/// How long the most is looked for that the clients can send.
const FLAT_OUT: Duration = Duration::from_secs(2);

/// Time after which something is wrong.
const GONE: Duration = Duration::from_secs(60);

pub(crate) fn by_clients((name, ..): &crate::Way, sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pause = || -> Result<(), Box<dyn Error>> {
        thread::sleep(FLAT_OUT);
        Ok(())
    };
    let most = under(sandbox, &runtime, Duration::ZERO, pause)?;
    let rate = rate(&most);
    // Half of that: the time that each client leaves between two requests.
    let gap = Duration::from_secs_f64(CLIENTS as f64 / rate);

    let (mut ratios, mut still, mut rolling) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sent, mut lost) = (0, 0);
    for _ in 0..SLICES {
        let begun = Instant::now();
        let during = under(sandbox, &runtime, gap, || {
            (0..ROLLS).try_for_each(|_| crate::ctl(sandbox, &["reload"]).map(drop))
        })?;
        let took = begun.elapsed();
        let before = under(sandbox, &runtime, gap, || {
            thread::sleep(took);
            Ok(())
        })?;
        let [before, during] = [before, during].map(|report| {
            (sent, lost) = (sent + report.sent(), lost + report.lost());
            report.total().p99.as_secs_f64()
        });
        ratios.push(during / before);
        still.push(before);
        rolling.push(during);
    }
    println!("what clients feel of rolls, back to back: {name}");
    println!(
        "  {CLIENTS} keep-alive clients at half of the {rate:.0} requests/s that they can send"
    );
    println!("  p99 still   {:8.0} us", crate::median(still) * 1e6);
    println!("  p99 rolling {:8.0} us", crate::median(rolling) * 1e6);
    println!("  rolling / still {:.2}  (goal: at most 1.2)", crate::median(ratios));
    println!("  {lost} of {sent} requests lost\n");
    Ok(())
}

fn rate(report: &Report) -> f64 {
    report.sent() as f64 / report.lasted().as_secs_f64()
}

/// What becomes of the requests while something happens.
fn under(
    sandbox: &Sandbox,
    runtime: &Runtime,
    gap: Duration,
    what: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<Report, Box<dyn Error>> {
    let page = Request::get(PathAndQuery::from_static("/"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 3000));
    let mix = Mix::new(address).clients(Kind::KeepAlive { gap }, CLIENTS, &page).at_most_for(GONE);
    let load = load::start_on_thread(mix, sandbox.network_entrance()?)?;
    runtime.block_on(load.until_answered(100))?;
    what()?;
    Ok(runtime.block_on(load.stop()))
}

//! `kill -9` of one of two instances under load: how long until its successor serves, and what
//! became of the requests.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use romuo::load::{self, Kind, Mix, Request, Running};
use romuo::sandbox::Sandbox;

use crate::{PORTS, median};

/// Kills of each; the median time counts.
const ROUNDS: usize = 5;

/// A request that takes longer than this hangs.
const HUNG: Duration = Duration::from_secs(5);

/// Time after which no successor will come any more.
const GONE: Duration = Duration::from_secs(30);

/// Requests that bring every instance to answer.
const ENOUGH: usize = 100;

pub(crate) fn compare(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let names = ["romuo", "pm2"];
    let mut times = [const { Vec::new() }; 2];
    let mut sent = [0; 2];
    let mut lost = [0; 2];
    for _ in 0..ROUNDS {
        for (at, port) in PORTS.into_iter().enumerate() {
            let load = load(sandbox, port)?;
            runtime.block_on(load.until_answered(1_000))?;
            times[at].push(successor(sandbox, port)?);
            let report = runtime.block_on(load.stop());
            sent[at] += report.sent();
            lost[at] += report.lost();
        }
    }
    println!("\nkill -9 of one of two instances under load, {ROUNDS} times");
    for (at, name) in names.iter().enumerate() {
        let time = median(times[at].clone()) * 1e3;
        let (sent, lost) = (sent[at], lost[at]);
        println!(
            "{name:6} its successor serves after {time:5.0} ms; {lost} of {sent} requests lost or hung"
        );
    }
    let [ours, theirs] = times.map(median);
    println!("ratio  {:.2}  (goal: at most 0.5)", ours / theirs);
    Ok(())
}

/// Clients that ask with GET, on kept and on new connections.
fn load(sandbox: &Sandbox, port: u16) -> Result<Running, Box<dyn Error>> {
    let page = Request::get(PathAndQuery::from_static("/"));
    let gap = Duration::from_millis(2);
    let mix = Mix::new(address(port))
        .clients(Kind::KeepAlive { gap }, 8, &page)
        .clients(Kind::NewConnection { gap }, 4, &page)
        .deadline(HUNG)
        .at_most_for(GONE);
    Ok(load::start_on_thread(mix, sandbox.network_entrance()?)?)
}

/// Kills who answers, and waits for an answer of somebody new; the time between, in seconds.
fn successor(sandbox: &Sandbox, port: u16) -> Result<f64, Box<dyn Error>> {
    let enter = sandbox.network_entrance()?;
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || -> Result<f64, String> {
            enter().map_err(|error| error.to_string())?;
            let known: BTreeSet<String> =
                (0..ENOUGH).filter_map(|_| who(address(port)).ok()).collect();
            let victim = known.first().ok_or("nobody answers")?;
            let killed = sandbox.run(["kill", "-9", victim]).map_err(|error| error.to_string())?;
            let begun = Instant::now();
            if !killed.success() {
                return Err(killed.stderr);
            }
            while begun.elapsed() < GONE {
                if who(address(port)).is_ok_and(|pid| !pid.is_empty() && !known.contains(&pid)) {
                    return Ok(begun.elapsed().as_secs_f64());
                }
            }
            Err("no successor came".into())
        });
        asking.join().map_err(|_| "the thread that asks failed")?.map_err(Into::into)
    })
}

/// The process that answers a new connection.
fn who(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let good = head.starts_with("HTTP/1.1 200");
    // Node sends it in chunks: the pid is the line of digits that is longest.
    let pid = body.lines().max_by_key(|line| line.len()).unwrap_or_default();
    if good { Ok(pid.to_owned()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

//! What an instance costs: the CPU time a request takes in `romuo-server`, as a ratio to a bare
//! `axum::serve` that answers the same small response. `cargo bench --bench cpu`.
//!
//! Both servers run as processes of their own and answer the same keep-alive load, in slices that
//! alternate in one run; the CPU time comes from the kernel's account of each process. Loopback only.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Slices of load for each server.
const SLICES: usize = 12;

/// How long a slice is.
const SLICE: Duration = Duration::from_secs(1);

/// Connections of the load.
const CONNECTIONS: usize = 16;

/// What both answer at `/`, byte for byte.
const RESPONSE: &str = "romuo serves here; no site is configured yet\n";

/// The argument that turns this program into the bare server.
const BARE: &str = "--bare-axum";

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(BARE) {
        let address = arguments.next().unwrap_or_default();
        return bare_axum(&address);
    }
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The server to compare with: what the documentation of axum shows.
fn bare_axum(address: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(address).await?;
            let router = axum::Router::new()
                .route("/health", axum::routing::get(async || "ok"))
                .fallback(async || RESPONSE);
            axum::serve(listener, router).await
        })
    });
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One of the two servers.
struct Server {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    requests: u64,
    cpu: Duration,
}

fn compare() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut servers = [start_bare()?, start_romuo(folder.path())?];
    let mut ratios = Vec::new();
    // The first slice of each warms up and is not counted.
    for slice in 0..=SLICES {
        let mut costs = [0.0; 2];
        for (server, cost) in servers.iter_mut().zip(&mut costs) {
            let before = cpu_time(server.child.id())?;
            let requests = load(server.address);
            let cpu = cpu_time(server.child.id())?.saturating_sub(before);
            *cost = micros_each(cpu, requests);
            if slice > 0 {
                server.requests += requests;
                server.cpu += cpu;
            }
        }
        if slice > 0 {
            ratios.push(costs[1] / costs[0]);
        }
    }
    for server in &mut servers {
        let each = micros_each(server.cpu, server.requests);
        println!("{:13} {:9} requests, {each:.2} us of CPU each", server.name, server.requests);
        server.child.kill()?;
        server.child.wait()?;
    }
    ratios.sort_by(f64::total_cmp);
    let [bare, romuo] = servers.map(|server| micros_each(server.cpu, server.requests));
    println!(
        "ratio {:.3} (slices: {:.3} to {:.3}, median {:.3}; the goal is 1.05 at most)",
        romuo / bare,
        ratios[0],
        ratios[SLICES - 1],
        ratios[SLICES / 2],
    );
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn micros_each(cpu: Duration, requests: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / requests.max(1) as f64
}

fn start_bare() -> std::io::Result<Server> {
    let address = free_address()?;
    let program = std::env::current_exe()?;
    let child = Command::new(program).args([BARE, &address.to_string()]).spawn()?;
    wait_until_up("axum::serve", child, address)
}

fn start_romuo(folder: &std::path::Path) -> std::io::Result<Server> {
    let address = free_address()?;
    let config = folder.join("romuo.toml");
    std::fs::write(&config, format!("name = \"romuo\"\nlisten = [\"{address}\"]\n"))?;
    let child = Command::new(env!("CARGO_BIN_EXE_romuo-server"))
        .arg("--config")
        .arg(config)
        .stderr(Stdio::null())
        .spawn()?;
    wait_until_up("romuo-server", child, address)
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn wait_until_up(name: &'static str, child: Child, address: SocketAddr) -> std::io::Result<Server> {
    let end = Instant::now() + Duration::from_secs(10);
    while let Err(error) = TcpStream::connect(address) {
        if Instant::now() > end {
            return Err(error);
        }
        thread::yield_now();
    }
    Ok(Server { name, child, address, requests: 0, cpu: Duration::ZERO })
}

/// Loads the server for one slice; the requests it answered.
fn load(address: SocketAddr) -> u64 {
    let answered = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                if let Err(error) = ask_until(address, &stop, &answered) {
                    eprintln!("a connection failed: {error}");
                }
            });
        }
        thread::sleep(SLICE);
        stop.store(true, Relaxed);
    });
    answered.load(Relaxed)
}

fn ask_until(address: SocketAddr, stop: &AtomicBool, answered: &AtomicU64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 1024];
    while !stop.load(Relaxed) {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")?;
        let count = stream.read(&mut answer)?;
        if !answer[..count].ends_with(RESPONSE.as_bytes()) {
            return Err(std::io::Error::other("a wrong answer"));
        }
        answered.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// CPU time of all threads of a process, user and system, in nanoseconds
/// (`/proc/PID/task/TID/schedstat`).
fn cpu_time(pid: u32) -> std::io::Result<Duration> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = schedstat.split(' ').next().and_then(|text| text.parse::<u64>().ok());
        sum += nanos.ok_or(std::io::ErrorKind::InvalidData)?;
    }
    Ok(Duration::from_nanos(sum))
}

//! What the front costs against nginx `proxy_pass`, both before the same cheap upstream and both in
//! one run, their slices alternating. `scripts/bench` installs nginx and wrk and runs it. Loopback
//! only.
//!
//! | figure | goal |
//! |---|---|
//! | throughput, 32 keep-alive connections | at least 0.85 of nginx |
//! | added p50 at 500 requests/s | at most that of nginx |
//! | a body of 100 MB, down and up | at least as fast as nginx, memory flat |
//! | memory idle, and of each idle connection | 6 MB, 8 kB, given back when they close |

#![allow(clippy::cast_precision_loss)] // figures for a person

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// Slices of load for each server; the medians count.
const SLICES: usize = 10;

/// Connections of the load.
const CONNECTIONS: &str = "32";

/// Requests of one latency measurement, and the pause between two: 500 a second.
const ASKED: usize = 1_000;
const PAUSE: Duration = Duration::from_micros(1_900);

/// Bytes of a large body, and how it is cut.
const LARGE: usize = 100_000_000;
const PIECE: usize = 50_000;

/// Times that a large body passes each way.
const PASSES: usize = 5;

/// Idle connections whose memory is measured.
const IDLE: usize = 4_000;

/// Time after which idle connections are parked and freed memory is back with the kernel (the
/// allocator keeps it for 10 s).
const SETTLE: Duration = Duration::from_secs(13);

/// The argument that turns this program into the upstream, which listens on `PORT`.
const UPSTREAM: &str = "--upstream";

fn main() -> ExitCode {
    let outcome =
        if std::env::args().any(|argument| argument == UPSTREAM) { upstream() } else { compare() };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As cheap as an app can be.
#[tokio::main(flavor = "current_thread")]
async fn upstream() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, std::convert::Infallible>>, hyper::Error> {
    if request.method() == Method::POST {
        let mut body = request.into_body();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            count += frame?.data_ref().map_or(0, Bytes::len);
        }
        return Ok(Response::new(Full::from(count.to_string()).boxed()));
    }
    if request.uri().path() == "/large" {
        let piece = Bytes::from(vec![b'x'; PIECE]);
        let pieces = (0..LARGE / PIECE).map(move |_| Ok(Frame::data(piece.clone())));
        let mut response = Response::new(StreamBody::new(stream::iter(pieces)).boxed());
        response.headers_mut().insert(http::header::CONTENT_LENGTH, LARGE.into());
        return Ok(response);
    }
    Ok(Response::new(Full::from("hello from the app\n").boxed()))
}

/// One way to the upstream.
struct Way {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<Child>,
}

impl Drop for Way {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let pid = rustix::process::Pid::from_child(process);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = process.wait();
        }
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let direct = direct()?;
    let nginx = nginx(folder.path(), direct.address)?;
    let romuo = romuo(folder.path())?;
    let idle = pss(romuo.processes[0].id())?;

    let ways = [&direct, &nginx, &romuo];
    throughput(&ways)?;
    latency(&ways)?;
    bodies(&[&nginx, &romuo])?;
    memory(&romuo, idle)
}

fn throughput(ways: &[&Way; 3]) -> Result<(), Box<dyn Error>> {
    let mut rates = [const { Vec::new() }; 3];
    for slice in 0..=SLICES {
        for (way, rates) in ways.iter().zip(&mut rates) {
            let rate = wrk(way.address)?;
            // The first slice of each warms up.
            if slice > 0 {
                rates.push(rate);
            }
        }
    }
    let ratios = rates[2].iter().zip(&rates[1]).map(|(romuo, nginx)| romuo / nginx).collect();
    println!("{CONNECTIONS} keep-alive connections, requests/s");
    for (way, rates) in ways.iter().zip(rates) {
        println!("  {:8} {:9.0}", way.name, median(rates));
    }
    println!("  romuo / nginx {:.3}  (goal: at least 0.85)\n", median(ratios));
    Ok(())
}

/// Requests a second.
fn wrk(address: SocketAddr) -> Result<f64, Box<dyn Error>> {
    let url = format!("http://{address}/");
    let output = Command::new("wrk").args(["-t1", "-c", CONNECTIONS, "-d1s", &url]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) =
        text.lines().find(|line| line.contains("errors") || line.contains("Non-2xx"))
    {
        return Err(format!("wrk {url}: {line}").into());
    }
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.ok_or("wrk told no rate")?.trim().parse()?)
}

fn latency(ways: &[&Way; 3]) -> Result<(), Box<dyn Error>> {
    let mut halves = [const { Vec::new() }; 3];
    for _ in 0..5 {
        for (way, halves) in ways.iter().zip(&mut halves) {
            halves.push(p50(way.address)?);
        }
    }
    let [direct, nginx, romuo] = halves.map(median);
    println!("p50 at 500 requests/s: direct {:.0} us, added by", direct * 1e6);
    println!(
        "  nginx    {:6.0} us\n  romuo    {:6.0} us",
        (nginx - direct) * 1e6,
        (romuo - direct) * 1e6
    );
    println!("  romuo / nginx {:.3}  (goal: at most 1.0)\n", (romuo - direct) / (nginx - direct));
    Ok(())
}

/// In seconds.
fn p50(address: SocketAddr) -> Result<f64, Box<dyn Error>> {
    let mut stream = connect(address)?;
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let begun = Instant::now();
        ask(&mut stream)?;
        times.push(begun.elapsed().as_secs_f64());
        thread::sleep(PAUSE);
    }
    Ok(median(times))
}

fn bodies(ways: &[&Way; 2]) -> Result<(), Box<dyn Error>> {
    let (mut down, mut up) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let pid = ways[1].processes[0].id();
    // Forgets the peak so far (proc(5), clear_refs).
    fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    for _ in 0..PASSES {
        for (at, way) in ways.iter().enumerate() {
            down[at].push(download(way.address)?);
            up[at].push(upload(way.address)?);
        }
    }
    println!("a body of 100 MB, MB/s");
    for (name, times) in [("down", down), ("up", up)] {
        let [nginx, romuo] = times.map(|times| LARGE as f64 / 1e6 / median(times));
        println!(
            "  {name:5} nginx {nginx:6.0}, romuo {romuo:6.0}: {:.2}  (goal: at least 1.0)",
            romuo / nginx
        );
    }
    println!(
        "  peak memory of romuo meanwhile {:.1} MB\n",
        kilobytes(pid, "status", "VmHWM:")? / 1e3
    );
    Ok(())
}

fn download(address: SocketAddr) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut stream = connect(address)?;
    write!(stream, "GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let (mut buffer, mut count) = (vec![0; 256 << 10], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            more => count += more,
        }
    }
    if count < LARGE {
        return Err(format!("only {count} bytes came").into());
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn upload(address: SocketAddr) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut stream = connect(address)?;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length:";
    write!(stream, "{head} {LARGE}\r\n\r\n")?;
    let piece = vec![b'x'; PIECE];
    for _ in 0..LARGE / PIECE {
        stream.write_all(&piece)?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.ends_with(&LARGE.to_string()) {
        return Err(format!("the upload was answered with {answer}").into());
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn memory(romuo: &Way, idle: f64) -> Result<(), Box<dyn Error>> {
    let pid = romuo.processes[0].id();
    thread::sleep(SETTLE);
    let before = pss(pid)?;
    let mut streams = Vec::new();
    for _ in 0..IDLE {
        let mut stream = connect(romuo.address)?;
        ask(&mut stream)?;
        streams.push(stream);
    }
    thread::sleep(SETTLE);
    let with = pss(pid)?;
    drop(streams);
    thread::sleep(SETTLE);
    let after = pss(pid)?;
    println!("memory of the front (PSS)");
    println!("  fresh                    {:6.1} MB  (goal: at most 6)", idle / 1e3);
    println!("  idle after the load      {:6.1} MB", before / 1e3);
    println!(
        "  each of {IDLE} idle connections {:5.2} kB  (goal: at most 8)",
        (with - before) / IDLE as f64
    );
    println!("  after they closed        {:6.1} MB", after / 1e3);
    Ok(())
}

fn direct() -> Result<Way, Box<dyn Error>> {
    let address = free_address()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(UPSTREAM)
        .env("PORT", address.port().to_string())
        .spawn()?;
    until_up(Way { name: "direct", address, processes: vec![child] })
}

/// nginx as its documentation says for a keep-alive upstream, with its defaults for the rest.
fn nginx(folder: &Path, upstream: SocketAddr) -> Result<Way, Box<dyn Error>> {
    let address = free_address()?;
    let here = folder.display();
    let config = format!(
        "daemon off; worker_processes auto; pid {here}/nginx.pid; error_log {here}/error.log;
         events {{ worker_connections 8192; }}
         http {{
           access_log off; client_max_body_size 0;
           client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
           fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
           upstream app {{ server {upstream}; keepalive 64; }}
           server {{
             listen {address} backlog=4096; keepalive_requests 100000000;
             location / {{
               proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_set_header Host $host;
               proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
               proxy_set_header X-Forwarded-Proto $scheme;
               proxy_set_header X-Forwarded-Host $host;
               proxy_set_header X-Request-Id $request_id;
             }}
           }}
         }}"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    let child = Command::new("nginx").arg("-c").arg(path).stderr(Stdio::null()).spawn()?;
    until_up(Way { name: "nginx", address, processes: vec![child] })
}

fn romuo(folder: &Path) -> Result<Way, Box<dyn Error>> {
    let address = free_address()?;
    let config = folder.join("romuo.toml");
    let program = std::env::current_exe()?;
    // As much memory as 4000 connections want.
    let text = format!(
        "listen = [\"{address}\"]\ncommand = [{:?}, \"{UPSTREAM}\"]\n[limits]\nmemory = \"1G\"\n",
        program.display().to_string()
    );
    fs::write(&config, text)?;
    let child = Command::new(env!("CARGO_BIN_EXE_romuo-server"))
        .arg("--config")
        .arg(config)
        .stderr(Stdio::null())
        .spawn()?;
    until_up(Way { name: "romuo", address, processes: vec![child] })
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn until_up(way: Way) -> Result<Way, Box<dyn Error>> {
    let end = Instant::now() + Duration::from_secs(10);
    while let Err(error) = TcpStream::connect(way.address) {
        if Instant::now() > end {
            return Err(format!("{} does not come up: {error}", way.name).into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(way)
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = [0; 2048];
    let count = stream.read(&mut answer)?;
    if !answer[..count].ends_with(b"hello from the app\n") {
        return Err("a wrong answer".into());
    }
    Ok(())
}

/// The proportional set size of a process, in kB of 1000 bytes.
fn pss(pid: u32) -> Result<f64, Box<dyn Error>> {
    kilobytes(pid, "smaps_rollup", "Pss:")
}

fn kilobytes(pid: u32, file: &str, key: &str) -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such figure")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1.024)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

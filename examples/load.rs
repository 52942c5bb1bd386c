//! Sends the standard mix of clients to a server on this machine and prints what became of it:
//! `cargo run --release --example load -- 127.0.0.1:3000 --seconds 10`.
//!
//! Exits with 1 where a request was lost. It refuses targets beyond this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use http::StatusCode;
use http::uri::PathAndQuery;
use romuo::load::{Kind, Mix, Request, Site, Target, start};

/// Bytes that the upload of the mix sends.
const UPLOAD: usize = 16 * 1024;

#[derive(Parser)]
struct Args {
    /// A loopback address, or the path of a unix socket.
    #[arg(value_parser = target)]
    target: Target,
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// A small page.
    #[arg(long, default_value = "/")]
    small: PathAndQuery,
    /// Something of several MiB, for the slow downloads.
    #[arg(long, default_value = "/")]
    large: PathAndQuery,
    /// The status of the answer to a POST to the small page.
    #[arg(long, default_value = "405")]
    post: StatusCode,
    /// Where the app sends WebSocket messages back; the mix gets clients for it.
    #[arg(long)]
    websocket: Option<PathAndQuery>,
    /// Where the app streams events that count up; the mix gets clients for it.
    #[arg(long)]
    events: Option<PathAndQuery>,
    /// Instead of the mix: so many keep-alive clients, flat out.
    #[arg(long)]
    flat_out: Option<usize>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

fn target(text: &str) -> Result<Target, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address.into()),
        Ok(address) => Err(format!("{address} is not on this machine")),
        Err(_) if text.contains('/') => Ok(PathBuf::from(text).into()),
        Err(error) => Err(format!("{error}; a unix socket is a path with a slash")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let site = Site {
        small: Request::get(args.small.clone()),
        large: Request::get(args.large),
        upload: Request::post(args.small, vec![b'x'; UPLOAD]).expecting(args.post),
    };
    let mix = match args.flat_out {
        None => Mix::standard(args.target, &site),
        Some(clients) => Mix::new(args.target).clients(
            Kind::KeepAlive { gap: Duration::ZERO },
            clients,
            &site.small,
        ),
    };
    let gap = Duration::from_millis(200);
    let mix = match args.websocket {
        Some(path) => mix.clients(Kind::WebSocket { gap }, 4, &Request::get(path)),
        None => mix,
    };
    let mix = match args.events {
        Some(path) => mix.clients(Kind::Events, 4, &Request::get(path)),
        None => mix,
    };
    let report = start(mix.at_most_for(Duration::from_secs(args.seconds))).finish().await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        println!("{report}");
    }
    if report.lost() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

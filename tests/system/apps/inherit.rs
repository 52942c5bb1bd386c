//! Apps that take the socket themselves: their drain is their own.

use std::time::Duration;

use romuo::load::{Connection, Kind, Mix};

use super::app::{App, clients, page, site};
use crate::machine::wait;

/// Clients that are done with each request before long.
fn quick() -> Mix {
    let ms = Duration::from_millis;
    clients(Kind::NewConnection { gap: ms(20) }, 8).clients(
        Kind::NewConnection { gap: ms(50) },
        4,
        &site().upload,
    )
}

#[test]
fn gunicorn_with_the_socket_in_hand_is_rolled_without_loss() {
    // Its default worker finishes what it has accepted, and says with each answer that it closes.
    // (Those that keep connections close some of them under their clients when they end.)
    let ms = Duration::from_millis;
    let mix = quick().clients(Kind::KeepAlive { gap: ms(20) }, 4, &page()).clients(
        Kind::HalfSent { pause: ms(50), on: Connection::Fresh },
        2,
        &page(),
    );
    let app = App::boot("flask").described_by("inherit.toml").start();
    let mains = app.mains();
    let load = app.load(mix);
    let said = app.reload();
    app.finish(load);
    let both = mains.iter().zip(&app.mains()).all(|(before, after)| before != after);
    assert!(both, "both were restarted: {said}");
}

#[test]
fn uvicorn_with_the_socket_in_hand_is_rolled() {
    let app = App::boot("fastapi").described_by("inherit.toml").start();
    let mains = app.mains();
    let load = app.load(quick());
    let said = app.reload();
    // Each of the two closes at its end what it has accepted and not yet read from: 0 lost is luck.
    let clients: usize = 12;
    let report = wait(load.stop());
    println!("{report}");
    assert!(report.lost() <= 2 * clients as u64, "{report}");
    let both = mains.iter().zip(&app.mains()).all(|(before, after)| before != after);
    assert!(both, "both were restarted: {said}");
}

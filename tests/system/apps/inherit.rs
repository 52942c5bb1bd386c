//! Apps that take the socket themselves: their drain is their own.

use std::time::Duration;

use romuo::load::{Connection, Kind, Mix};

use super::app::{App, clients, page, site};

/// Clients that open a connection for each request. An app that ends while idle clients keep their
/// connections closes these as it likes; no other can help it (docs/apps.md).
fn new_connections() -> Mix {
    let ms = Duration::from_millis;
    clients(Kind::NewConnection { gap: ms(20) }, 8)
        .clients(Kind::HalfSent { pause: ms(50), on: Connection::Fresh }, 4, &page())
        .clients(Kind::NewConnection { gap: ms(50) }, 4, &site().upload)
}

#[test]
fn gunicorn_with_the_socket_in_hand_is_rolled_without_loss() {
    let app = App::boot("flask").described_by("inherit.toml").start();
    let mains = app.mains();
    let load = app.load(new_connections());
    let said = app.reload();
    app.finish(load);
    let both = mains.iter().zip(&app.mains()).all(|(before, after)| before != after);
    assert!(both, "both were restarted: {said}");
}

#[test]
fn uvicorn_with_the_socket_in_hand_is_rolled() {
    let app = App::boot("fastapi").described_by("inherit.toml").start();
    let mains = app.mains();
    let load = app.load(new_connections());
    let said = app.reload();
    // uvicorn closes what it has accepted and not yet read from: 0 lost would be luck.
    let report = crate::machine::wait(load.stop());
    println!("{report}");
    assert!(report.lost() <= 16, "at most one a client\n{report}");
    let both = mains.iter().zip(&app.mains()).all(|(before, after)| before != after);
    assert!(both, "both were restarted: {said}");
}

//! The line in `systemctl status`.

use std::time::Duration;

use tokio::time::interval;

use super::notify;
use crate::front::App;
use crate::health::AppReport;

/// A part of the line in `systemctl status`.
pub(super) fn status_of(app: &AppReport) -> String {
    match app.pid {
        Some(pid) => format!("app pid {pid}, generation {}, ", app.generation),
        None => "the app is down, ".to_owned(),
    }
}

/// Renews the line in `systemctl status` for ever, where it changed: `every` so often, and whenever an
/// app goes down or comes up.
pub(super) async fn show(every: Duration, line: impl Fn() -> String, app: Option<&App>) {
    let mut ticks = interval(every);
    ticks.tick().await;
    let mut last = String::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = turn_of(app) => {}
        }
        let now = line();
        if now != last {
            notify::status(&now);
            last = now;
        }
    }
}

/// Waits until an app that serves goes down, or one that is down serves; for ever where there is none.
async fn turn_of(app: Option<&App>) {
    match app {
        Some(app) => app.until_serving(!app.report().healthy).await,
        None => std::future::pending().await,
    }
}

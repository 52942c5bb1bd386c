//! One life of the app, from its start to its end.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::check::{self, Trouble};
use super::child::Child;
use super::processes::{self, Family};
use super::{Launch, Told, environment};
use crate::config::Settings;
use crate::front::route::Generation;
use crate::upstream::Address;

/// Pause between two questions while the app starts, at the least and at the most. Many apps are up in a
/// tenth of a second, some take half a minute.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What the app gets at the least between SIGTERM and SIGKILL, however long the drain took.
const LEAST_TO_END: Duration = Duration::from_secs(1);

/// What a life is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Live.
    Run,
    /// Let the requests end, until then at the latest; then end.
    Retire(Instant),
}

/// What happens in a life.
#[derive(Debug)]
pub(super) enum News {
    Started(Family),
    Healthy,
    /// It failed its health question too often, and is killed now.
    Sick(String),
    /// It is gone.
    Ended(String),
}

/// Lives one life. Says what happens; the last is [`News::Ended`].
pub(super) async fn live(
    launch: Arc<Launch>,
    settings: Arc<Settings>,
    generation: Arc<Generation>,
    mut orders: watch::Receiver<Order>,
    told: mpsc::UnboundedSender<Told>,
) {
    let number = generation.number;
    let tell = |news| {
        // Nobody hears it when the front ends: then the life ends too.
        let _ = told.send((number, news));
    };
    let address = generation.pool.address().clone();
    let reason = match Child::spawn(&launch, &settings, number, &address) {
        Err(reason) => reason,
        Ok(mut child) => {
            let family = child.family();
            tell(News::Started(family.clone()));
            let end = tokio::select! {
                biased;
                reason = child.ended() => reason,
                () = retired(&mut orders) => retire(&launch, &generation, &mut child, &mut orders).await,
                reason = watch_over(&launch, &settings, &generation, &family, &tell) => {
                    child.kill();
                    child.ended().await;
                    reason
                }
            };
            // First of all: the requests that it had in hand wait to hear it.
            generation.end();
            // Whatever it was: nothing of it stays.
            child.kill();
            end
        }
    };
    generation.pool.close();
    if let Address::Unix(path) = &address {
        remove(path);
    }
    tell(News::Ended(reason));
}

/// Waits until the life is to end.
async fn retired(orders: &mut watch::Receiver<Order>) {
    // An error: the front is gone.
    let _ = orders.wait_for(|order| *order != Order::Run).await;
}

/// Waits until a life that is to end is out of time, but at least for so long. Somebody may lose
/// patience meanwhile, and order it sooner.
async fn overdue(orders: &mut watch::Receiver<Order>, least: Duration) {
    let earliest = Instant::now() + least;
    loop {
        let until = match *orders.borrow_and_update() {
            Order::Retire(until) => until.max(earliest),
            Order::Run => earliest,
        };
        tokio::select! {
            () = sleep_until(until) => return,
            Ok(()) = orders.changed() => {}
        }
    }
}

/// Lets the requests end, then the app.
async fn retire(
    launch: &Launch,
    generation: &Generation,
    child: &mut Child,
    orders: &mut watch::Receiver<Order>,
) -> String {
    generation.retire();
    tokio::select! {
        biased;
        reason = child.ended() => return reason,
        () = generation.until_unused() => {}
        () = overdue(orders, Duration::ZERO) => {
            let requests = generation.in_flight();
            tracing::warn!(requests, "out of time: the app is stopped with requests in hand");
        }
    }
    child.terminate();
    tokio::select! {
        biased;
        reason = child.ended() => reason,
        () = overdue(orders, LEAST_TO_END) => {
            let stop_timeout = crate::config::format_duration(launch.limits.stop_timeout);
            tracing::warn!("the app did not end by itself within {stop_timeout}: it is killed");
            child.kill();
            child.ended().await
        }
    }
}

/// Asks the app for its health until it is well, and from then on at intervals. Ends when it did not
/// get well in time, or fails too often: why.
async fn watch_over(
    launch: &Launch,
    settings: &Settings,
    generation: &Generation,
    family: &Family,
    tell: &impl Fn(News),
) -> String {
    let Settings { health, limits, .. } = settings;
    let ask = || check::ask(&generation.pool, &health.path, health.timeout);
    let deadline = Instant::now() + limits.start_timeout;
    let begun = Instant::now();
    while let Err(trouble) = ask().await {
        if Instant::now() >= deadline {
            let timeout = crate::config::format_duration(limits.start_timeout);
            let reason = explain(&trouble, family);
            return format!("was not well within {timeout}: it {reason}");
        }
        // So that waiting makes a start longer by a tenth, at the most.
        sleep((begun.elapsed() / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
    }
    tell(News::Healthy);
    // Counted from question to question: a hanging app is found within `Health::patience`, which has
    // the time of one answer in it and not of each.
    let mut ticks = interval_at(Instant::now() + health.interval, health.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = 0;
    loop {
        ticks.tick().await;
        match ask().await {
            Ok(()) => {
                failed = 0;
                (launch.alive)();
            }
            Err(trouble) => {
                failed += 1;
                tracing::warn!("the app {trouble} ({failed} of {})", health.failures);
                if failed >= health.failures {
                    tell(News::Sick(trouble.to_string()));
                    return format!("was killed, because it {trouble}");
                }
            }
        }
    }
}

/// What is wrong with an app that runs; if it takes no connections, where it listens instead.
fn explain(trouble: &Trouble, family: &Family) -> String {
    let Trouble::Closed(Address::Tcp(wanted)) = trouble else { return trouble.to_string() };
    let elsewhere = processes::listening(&family.members());
    let same_port = elsewhere.iter().find(|one| one.port() == wanted.port());
    match (same_port, elsewhere.first()) {
        (Some(one), _) => {
            format!("{trouble} but on {one}: it has to listen on {}", wanted.ip())
        }
        (None, Some(one)) => format!(
            "{trouble} but on {one}: it has to listen on the port that is in the variable PORT"
        ),
        (None, None) => format!("{trouble}, nor anywhere else"),
    }
}

/// An address that only this life uses.
///
/// # Errors
/// Where there is none left.
pub(super) fn address(
    launch: &Launch,
    settings: &Settings,
    number: u32,
) -> std::io::Result<Address> {
    if settings.program.as_ref().is_some_and(environment::wants_unix) {
        let id = launch.instance.map_or_else(|| "0".to_owned(), |id| id.to_string());
        let path = launch.runtime_folder()?.join(format!("{id}.app.{number}.sock"));
        remove(&path);
        return Ok(Address::Unix(path));
    }
    // The port is free now, and the kernel gives it to nobody who does not ask for it by number; not for
    // a good while.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.local_addr().map(Address::Tcp)
}

/// Removes the file of a socket: bind(2) refuses a path that exists.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

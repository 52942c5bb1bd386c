use super::*;

use std::sync::{Condvar, Mutex, mpsc};

use super::super::watchdog::{self, Own, probe_for_ever};
use crate::config::Settings;
use crate::server::figures::Figures;
use crate::server::router::{self, Health};

/// A watchdog's time in tests: looks come every quarter of it.
const WATCHDOG: Duration = Duration::from_millis(200);

fn health_router(drain: &Drain) -> Router {
    let settings = Settings::new("romuo".parse().unwrap(), "/".into());
    let figures = Arc::new(Figures::new(&settings, None, drain.clone()));
    router::public("/health", Health::new(figures, Arc::default()), None)
}

/// A thread that blocks until it is let go.
#[derive(Default)]
struct Block {
    blocked: Mutex<usize>,
    changed: Condvar,
}

impl Block {
    fn wait(&self) {
        let mut blocked = self.blocked.lock().unwrap();
        *blocked += 1;
        self.changed.notify_all();
        let _gone = self.changed.wait_while(blocked, |count| *count < usize::MAX).unwrap();
    }

    fn until_blocked(&self, threads: usize) {
        let blocked = self.blocked.lock().unwrap();
        let _there = self.changed.wait_while(blocked, |count| *count < threads).unwrap();
    }

    fn release(&self) {
        *self.blocked.lock().unwrap() = usize::MAX;
        self.changed.notify_all();
    }
}

#[test]
fn when_every_worker_is_blocked_the_watchdog_finds_no_life() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let block = Arc::new(Block::default());
    let (found, finds) = mpsc::channel();
    runtime.spawn(async move {
        let pulse = Pulse::default();
        let drain = Drain::default();
        let router = health_router(&drain);
        let host = Host { router, answered: Arc::default(), drain, linger: NEVER, bounds: wide() };
        // The accept loop of `Server` has a pulse of its own; here only the answers count.
        let beats = pulse.clone();
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(WATCHDOG / 10);
            loop {
                beat.tick().await;
                beats.beat();
            }
        });
        let own = Own { host: Arc::new(host), path: "/health".into(), timeout: NEVER };
        watchdog::start(WATCHDOG, pulse.clone(), move |alive| {
            let _ = found.send(alive);
        })
        .unwrap();
        probe_for_ever(own, WATCHDOG / 10, pulse).await;
    });
    // It lives, so it is found alive.
    while !finds.recv().unwrap() {}
    // From outside, which wakes a worker for each. (A worker that blocks while it is the one that
    // waits for the network takes the others' network with it: tokio has them wait for that one.)
    for _ in 0..2 {
        let block = Arc::clone(&block);
        runtime.spawn(async move { block.wait() });
    }
    block.until_blocked(2);
    // Signs of life from before may still count for one look.
    let looks: Vec<bool> = finds.iter().take(4).collect();
    assert_eq!(looks[1..], [false, false, false]);
    block.release();
}

#[tokio::test]
async fn the_self_probe_goes_through_the_real_router_and_is_not_counted() {
    let (drain, answered) = (Drain::default(), Arc::default());
    let host = Host {
        router: health_router(&drain),
        answered: Arc::clone(&answered),
        drain,
        linger: NEVER,
        bounds: wide(),
    };
    let own = Own {
        host: Arc::new(host.apart(host.router.clone())),
        path: "/health".into(),
        timeout: NEVER,
    };
    let report = own.probe().await.unwrap();
    assert_eq!(report.status, crate::health::Status::Ok);
    assert_eq!(answered.load(std::sync::atomic::Ordering::Relaxed), 0);

    let wrong = Own { path: "/nowhere".into(), ..own };
    assert!(wrong.probe().await.is_err());
}

#[test]
fn probes_come_often_enough_for_the_watchdog() {
    let second = Duration::from_secs(1);
    assert_eq!(watchdog::probe_interval(5 * second, None), 5 * second);
    assert_eq!(watchdog::probe_interval(5 * second, Some(2 * second)), second / 2);
    assert_eq!(watchdog::probe_interval(second, Some(60 * second)), second);
}

use super::*;

use std::io::Write as _;
use std::sync::{Condvar, Mutex, mpsc};

use super::super::figures::Answers;
use super::super::watchdog::{self, Own, probe_for_ever};
use crate::config::Settings;
use crate::server::figures::Figures;
use crate::server::router::{self, Health};

/// A watchdog's time in tests: looks come every quarter of it.
const WATCHDOG: Duration = Duration::from_millis(200);

fn health(drain: &Drain) -> Health {
    let settings = Settings::new("romuo".parse().unwrap(), "/".into());
    let figures = Arc::new(Figures::new(&settings, None, drain.clone()));
    Health::new(figures, Arc::default())
}

/// Where a thread blocks until it is let go.
#[derive(Default)]
struct Block {
    state: Mutex<BlockState>,
    changed: Condvar,
}

#[derive(Default, PartialEq)]
enum BlockState {
    #[default]
    Free,
    Blocked,
    Released,
}

impl Block {
    fn set(&self, state: BlockState) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn wait_for(&self, wanted: &BlockState) {
        let state = self.state.lock().unwrap();
        let _reached = self.changed.wait_while(state, |state| state != wanted).unwrap();
    }

    fn block(&self) {
        self.set(BlockState::Blocked);
        self.wait_for(&BlockState::Released);
    }
}

#[test]
fn when_the_runtime_is_blocked_the_watchdog_finds_no_life() {
    // One worker: with two it is chance whether the second request finds the free one.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let block = Arc::new(Block::default());
    let (found, finds) = mpsc::channel();
    runtime.spawn({
        let block = Arc::clone(&block);
        async move {
            let pulse = Pulse::default();
            let drain = Drain::default();
            let blocking = async move || block.block();
            let router = router::control(health(&drain)).route("/block", get(blocking));
            let server = Server::start(router.clone(), wide(), NEVER);
            let handler = Handler::Router(router);
            let host = host(handler, drain, wide());
            let address = server.address;
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
                let _ = found.send((alive, address));
            })
            .unwrap();
            probe_for_ever(own, WATCHDOG / 10, pulse).await;
        }
    });
    // It lives, so it is found alive.
    let address = loop {
        if let (true, address) = finds.recv().unwrap() {
            break address;
        }
    };
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.write_all(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    block.wait_for(&BlockState::Blocked);
    // Signs of life from before may still count for one look.
    let looks: Vec<bool> = finds.iter().map(|(alive, _)| alive).take(4).collect();
    assert_eq!(looks[1..], [false, false, false]);
    block.set(BlockState::Released);
}

#[tokio::test]
async fn the_self_probe_goes_through_the_real_router_and_is_not_counted() {
    let (drain, answered) = (Drain::default(), Arc::<Answers>::default());
    let handler = public(health(&drain));
    let host = Host { answered: Arc::clone(&answered), ..host(handler, drain, wide()) };
    let own = Own {
        host: Arc::new(host.apart(host.handler.clone())),
        path: "/health".into(),
        timeout: NEVER,
    };
    let report = own.probe().await.unwrap();
    assert_eq!(report.status, crate::health::Status::Ok);
    assert_eq!(answered.all(), 0);

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

//! The most that an instance held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

use super::LOOK;

/// Looks at memory again and again.
pub(super) struct Gauge {
    end: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Gauge {
    pub(super) fn start(look: Box<dyn Fn() -> Vec<u64> + Send>) -> Self {
        let end = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !ended.load(Relaxed) {
                most = look().into_iter().max().unwrap_or(0).max(most);
                std::thread::sleep(LOOK);
            }
            most
        });
        Self { end, thread }
    }

    pub(super) fn stop(self) -> u64 {
        self.end.store(true, Relaxed);
        self.thread.join().unwrap_or(u64::MAX)
    }
}

//! Where requests go: to the generation of the app that is open now, if one is.
//!
//! A generation is one life of the app's process. At a swap there are two for a while: new requests
//! go to the new one, and the old one is stopped when its last request is done. So a request takes a
//! [`Lease`], which reads the generation and counts the request in one step: were it two, the old
//! generation could be found unused and be stopped in between.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::upstream::{Address, Pool};

/// How long after a connection broke off it is known whether the app's process has ended with it. The
/// kernel tells of both at nearly the same moment; a second attempt in between would be lost as well.
const SETTLE: Duration = Duration::from_millis(100);

/// One life of the app's process, and the requests it has.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Counted from 1.
    pub(crate) number: u32,
    /// The connections to it.
    pub(crate) pool: Arc<Pool>,
    /// Requests, tunnels and answers under way that it has.
    leases: AtomicUsize,
    /// Told whenever the last lease is given back.
    unused: Notify,
    retired: CancellationToken,
    /// Whether its process has ended: what each lease asks.
    is_over: AtomicBool,
    ended: CancellationToken,
}

impl Generation {
    /// The generation that listens on `address`.
    pub(crate) fn new(number: u32, address: Address) -> Arc<Self> {
        Arc::new(Self {
            number,
            pool: Arc::new(Pool::new(address)),
            leases: AtomicUsize::new(0),
            unused: Notify::new(),
            retired: CancellationToken::new(),
            is_over: AtomicBool::new(false),
            ended: CancellationToken::new(),
        })
    }

    /// Requests, tunnels and answers under way that it has now.
    pub(crate) fn in_flight(&self) -> usize {
        self.leases.load(Ordering::Acquire)
    }

    /// Waits until it has none. Of use once the route is closed or leads to another generation.
    pub(crate) async fn until_unused(&self) {
        loop {
            let unused = self.unused.notified();
            if self.in_flight() == 0 {
                return;
            }
            unused.await;
        }
    }

    /// Says that it is to end: tunnels and event streams, which would go on for ever, close at their
    /// next good moment; requests are finished.
    pub(crate) fn retire(&self) {
        self.retired.cancel();
    }

    /// Says that its process has ended.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.ended.cancel();
    }

    /// Whether its process has ended by itself: one that was told to has not crashed.
    pub(crate) fn has_crashed(&self) -> bool {
        self.is_over.load(Ordering::Acquire) && !self.retired.is_cancelled()
    }

    /// Whether its process has ended with a connection that broke off just now. Waits until that can be
    /// told.
    pub(crate) async fn has_ended(&self) -> bool {
        timeout(SETTLE, self.ended.cancelled()).await.is_ok()
    }

    /// Waits until it is to end.
    pub(crate) fn retired(&self) -> WaitForCancellationFuture<'_> {
        self.retired.cancelled()
    }
}

/// The right to one request to a generation, which is not stopped as long as it is held.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Generation>);

impl Lease {
    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.0.leases.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.unused.notify_waiters();
        }
    }
}

/// Where requests go now. Shared by all connections and by what supervises the app.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// None: the app is down.
    current: Mutex<Option<Arc<Generation>>>,
    opened: Notify,
}

impl Route {
    /// Requests go to `generation` from now on.
    pub(crate) fn open(&self, generation: Arc<Generation>) {
        *self.current() = Some(generation);
        self.opened.notify_waiters();
    }

    /// The app is down: requests wait, or go elsewhere.
    pub(crate) fn close(&self) {
        *self.current() = None;
    }

    /// The generation that takes requests now, with this request counted. None as well where its process
    /// has just ended.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let current = self.current();
        let generation = current.as_ref().filter(|it| !it.is_over.load(Ordering::Acquire))?;
        // Under the lock: whoever has replaced this generation sees the count.
        generation.leases.fetch_add(1, Ordering::AcqRel);
        Some(Lease(Arc::clone(generation)))
    }

    /// Waits until there is a generation that takes requests and is not this one.
    pub(crate) async fn until_other(&self, number: Option<u32>) {
        loop {
            let opened = self.opened.notified();
            if self.current().as_ref().is_some_and(|current| Some(current.number) != number) {
                return;
            }
            opened.await;
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Generation>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn generation(number: u32) -> Arc<Generation> {
        Generation::new(number, Address::Tcp("127.0.0.1:1".parse().unwrap()))
    }

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_lease_is_of_the_generation_that_is_open() {
        let route = Route::default();
        assert!(route.lease().is_none());
        route.open(generation(1));
        let lease = route.lease().unwrap();
        route.open(generation(2));
        assert_eq!(lease.generation().number, 1);
        assert_eq!(route.lease().unwrap().generation().number, 2);
        route.close();
        assert!(route.lease().is_none());
    }

    #[tokio::test]
    async fn a_replaced_generation_is_in_use_until_its_last_lease_is_given_back() {
        let route = Route::default();
        let old = generation(1);
        route.open(Arc::clone(&old));
        let leases = [route.lease().unwrap(), route.lease().unwrap()];
        route.open(generation(2));
        let mut unused = pin!(old.until_unused());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(unused.as_mut().poll(&mut cx).is_pending());
        let [first, second] = leases;
        drop(first);
        assert!(unused.as_mut().poll(&mut cx).is_pending());
        drop(second);
        unused.await;
        assert!(is_ready(old.until_unused()));
    }

    #[tokio::test]
    async fn who_waits_for_the_app_learns_that_it_is_back() {
        let route = Route::default();
        let mut open = pin!(route.until_other(None));
        assert!(open.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        route.open(generation(1));
        open.await;
        assert!(is_ready(route.until_other(None)));
        let mut other = pin!(route.until_other(Some(1)));
        assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        route.open(generation(2));
        other.await;
    }

    #[test]
    fn a_generation_is_told_once_that_it_is_to_end() {
        let old = generation(1);
        assert!(!is_ready(old.retired()));
        old.retire();
        assert!(is_ready(old.retired()));
    }
}

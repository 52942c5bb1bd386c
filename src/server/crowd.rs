//! Who gives way when there is no room for everybody.
//!
//! Room is places, of which there are as many as connections may be open, and bytes, which are those of
//! the [budget](crate::budget). Others wait outside while there is none, which is right as long as those
//! inside are at work. Those that only wait for their own client are not: they give way at once, those
//! from whom the least is to be expected first. nginx closes idle connections for the same reason
//! (`ngx_drain_connections`).

mod standing;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, sleep};

use super::activity::{Activity, Phase, lock};
use super::connection::Host;
use crate::budget::Account;
use standing::{Kind, Standing};

/// How long a rate is measured before it counts: many round trips of a usual client, and a quarter of
/// the time in which a newcomer is to be answered.
const WINDOW: Duration = Duration::from_millis(250);

/// How often room is made while bytes are short: what is given back is there at once, and others may
/// have given something back in the meantime.
const RELIEF: Duration = Duration::from_millis(5);

/// Those that are found in one look: a look goes through all of them.
const BATCH: usize = 64;

/// What of all places one address may hold while half of them are taken: one in so many.
const SHARE: usize = 4;

/// The share of one address, at the least: a browser opens six connections, and a household has a few.
const LEAST_SHARE: usize = 32;

/// The bits of an IPv6 address that one customer of a provider has at the least (RFC 6177).
const CUSTOMER: u32 = 64;

/// What room is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A connection.
    Place,
    /// Bytes of the budget.
    Bytes,
}

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    by_number: BTreeMap<u64, Arc<Member>>,
    count: u64,
    by_address: HashMap<IpAddr, usize>,
    /// Who is next to give way to a newcomer.
    next: VecDeque<Weak<Member>>,
}

/// One connection among the others.
#[derive(Debug)]
pub(super) struct Member {
    stage: Mutex<Stage>,
    leaves: AtomicBool,
    /// It is to leave for its place, and not only for the bytes that it holds.
    gives_place: AtomicBool,
    waker: AtomicWaker,
}

/// What a connection is at.
#[derive(Debug)]
pub(super) enum Stage {
    /// It waits for a request, since then.
    Waiting(Instant),
    /// The first bytes of a request came then.
    Begun(Instant),
    /// It has said something and waits for room, which is not its client's doing.
    Queued,
    /// Requests are received and answered.
    Serving(Serving),
    /// It speaks another protocol. When a byte was moved last.
    Tunnel(Arc<Mutex<Instant>>),
    /// It was told that nothing more comes, then.
    Leaving(Instant),
}

/// How a connection gets on that serves requests.
#[derive(Debug)]
pub(super) struct Serving {
    activity: Arc<Activity>,
    account: Arc<Account>,
    is_http1: bool,
    /// What it was like when it was measured last.
    sample: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    moved: u64,
    requests: u64,
    /// Bytes a second in the window before; none: there was none.
    rate: Option<u64>,
}

impl Crowd {
    /// Takes a place among the others. None: too many of `places` are those of the same client.
    pub(super) fn enter(&self, address: Option<IpAddr>, places: usize) -> Option<Place<'_>> {
        let address = address.map(customer);
        let member = Arc::new(Member {
            stage: Mutex::new(Stage::Waiting(Instant::now())),
            leaves: AtomicBool::new(false),
            gives_place: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let mut members = self.members();
        if let Some(address) = address {
            let is_crowded = members.by_number.len() >= places / 2;
            let count = members.by_address.entry(address).or_default();
            if is_crowded && *count >= (places / SHARE).max(LEAST_SHARE) {
                return None;
            }
            *count += 1;
        }
        members.count += 1;
        let number = members.count;
        members.by_number.insert(number, Arc::clone(&member));
        drop(members);
        Some(Place { crowd: self, number, address, member })
    }

    /// Asks one of those to leave that only wait for their client, if there is one.
    pub(super) fn make_room(&self, need: Need) {
        let now = Instant::now();
        if need == Need::Place {
            while let Some(next) = self.members().next.pop_front() {
                // It may have got on in the meantime.
                if let Some(member) = next.upgrade()
                    && member.standing(now).is_some_and(|standing| standing.rank(need).is_some())
                    && member.ask_to_leave(need)
                {
                    return;
                }
            }
        }
        let mut found = self.candidates(now, need).into_iter();
        for member in found.by_ref() {
            if member.ask_to_leave(need) {
                break;
            }
        }
        if need == Need::Place {
            self.members().next = found.map(|member| Arc::downgrade(&member)).collect();
        }
    }

    /// Those that may be asked to leave, the first ones of them first.
    fn candidates(&self, now: Instant, need: Need) -> Vec<Arc<Member>> {
        let members: Vec<_> = self.members().by_number.values().cloned().collect();
        let ranked = members.into_iter().filter_map(|member| {
            let rank = member.standing(now)?.rank(need)?;
            Some((rank, member))
        });
        let mut ranked: Vec<_> = ranked.collect();
        if ranked.len() > BATCH {
            ranked.select_nth_unstable_by_key(BATCH, |(rank, _)| *rank);
            ranked.truncate(BATCH);
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, member)| member).collect()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        lock(&self.members)
    }
}

/// Makes room in the budget of a host whenever it runs short, for as long as the host is there.
pub(super) async fn relieve(host: Weak<Host>) {
    loop {
        let Some(budget) = host.upgrade().map(|host| host.budget.clone()) else { return };
        budget.runs_short().await;
        while budget.is_short() {
            let Some(host) = host.upgrade() else { return };
            host.crowd.make_room(Need::Bytes);
            drop(host);
            sleep(RELIEF).await;
        }
    }
}

impl Member {
    /// What it is at from now on.
    pub(super) fn is(&self, stage: Stage) {
        *lock(&self.stage) = stage;
    }

    /// Whether it was asked to leave, and is still one that gives way: its client may have gone on since.
    /// Tells the task that asks when it is.
    pub(super) fn poll_leave(&self, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if !self.leaves.load(Relaxed) {
            return Poll::Pending;
        }
        let need = if self.gives_place() { Need::Place } else { Need::Bytes };
        let standing = self.standing(Instant::now());
        if standing.is_some_and(|standing| standing.rank(need).is_some()) {
            return Poll::Ready(());
        }
        self.stays();
        Poll::Pending
    }

    /// Waits until it is asked to leave.
    pub(super) async fn asked_to_leave(&self) {
        poll_fn(|cx| self.poll_leave(cx)).await;
    }

    /// It does not leave: it was asked in vain, since its client has gone on.
    pub(super) fn stays(&self) {
        self.leaves.store(false, Relaxed);
        self.gives_place.store(false, Relaxed);
    }

    /// Whether its place is needed; else it is only what it holds.
    fn gives_place(&self) -> bool {
        self.gives_place.load(Relaxed)
    }

    /// Asks it to leave; whether it was not asked before.
    fn ask_to_leave(&self, need: Need) -> bool {
        self.gives_place.fetch_or(need == Need::Place, Relaxed);
        let is_new = !self.leaves.swap(true, Relaxed);
        self.waker.wake();
        is_new
    }

    fn standing(&self, now: Instant) -> Option<Standing> {
        match &mut *lock(&self.stage) {
            Stage::Queued => None,
            Stage::Waiting(since) => Some(Standing::since(Kind::Idle, *since, now)),
            Stage::Begun(since) => Some(Standing::since(Kind::Head, *since, now)),
            Stage::Leaving(since) => Some(Standing::since(Kind::Leaving, *since, now)),
            Stage::Tunnel(last) => Some(Standing::since(Kind::Tunnel, *lock(last), now)),
            Stage::Serving(serving) => serving.standing(now),
        }
    }
}

impl Stage {
    /// Requests are received and answered from now on.
    pub(super) fn serving(
        activity: &Arc<Activity>,
        account: &Arc<Account>,
        is_http1: bool,
    ) -> Self {
        Self::Serving(Serving {
            activity: Arc::clone(activity),
            account: Arc::clone(account),
            is_http1,
            sample: None,
        })
    }
}

impl Serving {
    fn standing(&mut self, now: Instant) -> Option<Standing> {
        let rate = self.rate(now);
        let phase = self.activity.phase();
        // What HTTP/2 has of an answer may wait for a window when its request is done.
        let phase = if self.account.unsent() > 0 { Phase::Answering } else { phase };
        let since = |kind| Some(Standing::since(kind, self.activity.since(), now));
        match phase {
            Phase::Answering if self.waits_for_client() => {
                let rate = if self.is_stuck(now) { 0 } else { rate? };
                Some(Standing { kind: Kind::Slow { rate }, age: WINDOW })
            }
            // The app is at work.
            Phase::Answering => None,
            // Frames between two requests are no request.
            Phase::Receiving if self.is_http1 => since(Kind::Head),
            Phase::Idle | Phase::Receiving => since(Kind::IdleWithBytes),
        }
    }

    /// Whether nothing has moved for the whole window.
    fn is_stuck(&self, now: Instant) -> bool {
        let since = [self.account.awaiting_since(), self.activity.blocked_since()];
        let is_long = |since| now.saturating_duration_since(since) >= WINDOW;
        // On HTTP/2 one stream may be stuck while others get on.
        self.is_http1 && since.into_iter().flatten().any(is_long)
    }

    /// Whether the client is to bring or to take something.
    fn waits_for_client(&self) -> bool {
        self.account.awaiting_since().is_some()
            || if self.is_http1 {
                self.activity.is_sending()
            } else {
                self.activity.is_replying() || self.account.unsent() > 0
            }
    }

    /// Bytes a second in the last window; none: it is not over yet, or another request has begun in it.
    fn rate(&mut self, now: Instant) -> Option<u64> {
        // Frames that carry nothing are no progress.
        let moved = if self.is_http1 { self.activity.moved() } else { self.account.progress() };
        // The end of the request before was progress, too.
        let requests = if self.is_http1 { self.activity.requests() } else { 0 };
        let old = self.sample.filter(|old| old.requests == requests);
        let passed = old.map_or(WINDOW, |old| now.saturating_duration_since(old.at));
        if passed < WINDOW {
            return old?.rate;
        }
        let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let rate = old.map(|old| (moved - old.moved).saturating_mul(1000) / milliseconds);
        self.sample = Some(Sample { at: now, moved, requests, rate });
        rate
    }
}

/// One who is in.
#[derive(Debug)]
pub(super) struct Place<'a> {
    crowd: &'a Crowd,
    number: u64,
    address: Option<IpAddr>,
    pub(super) member: Arc<Member>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut members = self.crowd.members();
        members.by_number.remove(&self.number);
        if let Some(address) = self.address
            && let Some(count) = members.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                members.by_address.remove(&address);
            }
        }
    }
}

/// What of an address tells one customer from another.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & (u128::MAX << (u128::BITS - CUSTOMER));
            Ipv6Addr::from_bits(prefix).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn leaves(place: &Place<'_>) -> bool {
        tokio::time::timeout(Duration::ZERO, place.member.asked_to_leave()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_leaves_first() {
        let crowd = Crowd::default();
        crowd.make_room(Need::Place);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(crowd.enter(None, 9).unwrap());
            sleep(Duration::from_secs(1)).await;
        }
        drop(places.remove(0));
        crowd.make_room(Need::Bytes);
        assert!(!leaves(&places[0]).await, "it holds no bytes");
        crowd.make_room(Need::Place);
        assert!(leaves(&places[0]).await && !leaves(&places[1]).await);
        crowd.make_room(Need::Place);
        assert!(leaves(&places[1]).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_got_on_in_the_meantime_stays() {
        let crowd = Crowd::default();
        let [first, second, third] = [(); 3].map(|()| crowd.enter(None, 9).unwrap());
        sleep(Duration::from_secs(1)).await;
        crowd.make_room(Need::Place);
        assert!(leaves(&first).await);
        let account = crate::budget::Budget::unbounded().account();
        let activity = Arc::new(Activity::default());
        let (_request, _) = activity.begin();
        second.member.is(Stage::serving(&activity, &account, true));
        crowd.make_room(Need::Place);
        assert!(!leaves(&second).await && leaves(&third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_goes_on_after_it_was_asked_stays() {
        let crowd = Crowd::default();
        let place = crowd.enter(None, 9).unwrap();
        sleep(Duration::from_secs(1)).await;
        crowd.make_room(Need::Place);
        let account = crate::budget::Budget::unbounded().account();
        let activity = Arc::new(Activity::of_http1());
        let (_request, _) = activity.begin();
        place.member.is(Stage::serving(&activity, &account, true));
        assert!(!leaves(&place).await);
        place.member.is(Stage::Waiting(Instant::now()));
        sleep(Duration::from_secs(1)).await;
        assert!(!leaves(&place).await, "it is forgotten");
        crowd.make_room(Need::Place);
        assert!(leaves(&place).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_its_answer_gives_way_after_the_window() {
        let crowd = Crowd::default();
        let place = crowd.enter(None, 9).unwrap();
        let account = crate::budget::Budget::unbounded().account();
        let activity = Arc::new(Activity::of_http1());
        let (_request, _) = activity.begin();
        place.member.is(Stage::serving(&activity, &account, true));
        for _ in 0..3 {
            crowd.make_room(Need::Bytes);
            sleep(WINDOW).await;
        }
        assert!(!leaves(&place).await, "the app is at work");
        let _awaited = Account::awaits(&account);
        crowd.make_room(Need::Bytes);
        sleep(WINDOW).await;
        crowd.make_room(Need::Bytes);
        assert!(leaves(&place).await);
    }

    #[test]
    fn one_address_has_a_share_of_the_places_when_they_get_few() {
        let crowd = Crowd::default();
        let [one, other] = ["2001:db8::1", "2001:db8:0:1::1"].map(|ip| ip.parse().unwrap());
        let mut places = Vec::new();
        while let Some(place) = crowd.enter(Some(one), 200) {
            places.push(place);
        }
        assert_eq!(places.len(), 100, "up to the half anybody may have");
        assert!(crowd.enter(Some("2001:db8::2".parse().unwrap()), 200).is_none(), "it is the same");
        assert!(crowd.enter(Some(other), 200).is_some());
        assert!(crowd.enter(None, 200).is_some());
        drop(places);
        assert!(crowd.members().by_address.is_empty());
    }
}

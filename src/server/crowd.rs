//! Who gives way when there is no room for everybody.
//!
//! Room is places, of which there are as many as connections may be open, and bytes, which are those of
//! the [budget](crate::budget). Others wait outside while there is none, which is right as long as those
//! inside are at work. Those that only wait for their own client are not: they give way at once, those
//! from whom the least is to be expected first. nginx closes idle connections for the same reason
//! (`ngx_drain_connections`).

mod member;
mod standing;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::activity::lock;
use super::connection::Host;
pub(super) use member::{Member, Stage};

/// How often room is made while bytes are short: what is given back is there at once, and others may
/// have given something back in the meantime.
const RELIEF: Duration = Duration::from_millis(5);

/// How many wait for bytes for each one that is asked for them at a time: thousands are helped within a tenth of a
/// second, and of a few only one leaves before what it gives is there.
const AT_ONCE: usize = 16;

/// Those that are found in one look: a look goes through all of them.
const BATCH: usize = 64;

/// Time between two looks of which the first has found nobody: each goes through thousands of connections.
const LOOKS_APART: Duration = Duration::from_millis(20);

/// How often it is looked for those that are slow: what they hold in the meantime is what they bring within a
/// [`member::WINDOW`], too.
const THINNING: Duration = Duration::from_millis(50);

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
    /// Who is next to give way to a newcomer, and who for bytes.
    place: Next,
    bytes: Next,
}

/// Who is next to give way, as the last look found them.
#[derive(Debug, Default)]
struct Next {
    members: VecDeque<Weak<Member>>,
    /// When a look found nobody.
    nobody: Option<Instant>,
}

impl Members {
    fn next(&mut self, need: Need) -> &mut Next {
        match need {
            Need::Place => &mut self.place,
            Need::Bytes => &mut self.bytes,
        }
    }
}

impl Crowd {
    /// Takes a place among the others. None: too many of `places` are those of the same client.
    pub(super) fn enter(&self, address: Option<IpAddr>, places: usize) -> Option<Place<'_>> {
        let address = address.map(customer);
        let member = Arc::<Member>::default();
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

    /// Asks one of those to leave that only wait for their client, if there is one; whether there was.
    pub(super) fn make_room(&self, need: Need) -> bool {
        let now = Instant::now();
        loop {
            let Some(next) = self.members().next(need).members.pop_front() else { break };
            // It may have got on in the meantime.
            if let Some(member) = next.upgrade()
                && member.rank(now, need).is_some()
                && member.ask_to_leave(need)
            {
                return true;
            }
        }
        let nobody = self.members().next(need).nobody;
        if nobody.is_some_and(|at| now.saturating_duration_since(at) < LOOKS_APART) {
            return false;
        }
        let mut found = self.candidates(now, need).into_iter();
        let is_asked = found.by_ref().any(|member| member.ask_to_leave(need));
        let members = found.map(|member| Arc::downgrade(&member)).collect();
        *self.members().next(need) = Next { members, nobody: (!is_asked).then_some(now) };
        is_asked
    }

    /// Those that may be asked to leave, the first ones of them first.
    fn candidates(&self, now: Instant, need: Need) -> Vec<Arc<Member>> {
        let ranked = self.all().into_iter().filter_map(|it| Some((it.rank(now, need)?, it)));
        let mut ranked: Vec<_> = ranked.collect();
        if ranked.len() > BATCH {
            ranked.select_nth_unstable_by_key(BATCH, |(rank, _)| *rank);
            ranked.truncate(BATCH);
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, member)| member).collect()
    }

    /// Has the slowest leave where more than `most` are slow.
    fn thin_out(&self, most: usize) {
        if self.members().by_number.len() <= most {
            return;
        }
        let now = Instant::now();
        let slow = self.all().into_iter().filter_map(|it| Some((it.slow_rate(now)?, it)));
        let mut slow: Vec<_> = slow.collect();
        slow.sort_unstable_by_key(|(rate, _)| *rate);
        for (_, member) in slow.iter().take(slow.len().saturating_sub(most)) {
            member.ask_to_leave(Need::Bytes);
        }
    }

    /// All that are in, so that each may be asked without the lock.
    fn all(&self) -> Vec<Arc<Member>> {
        self.members().by_number.values().cloned().collect()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        lock(&self.members)
    }
}

/// Has the slowest leave of those that only wait for their own client, for as long as the host is there, where they
/// are more than it has memory for: what the kernel holds of an app's answers, or for the app, is in no budget.
pub(super) async fn thin_out(host: Weak<Host>) {
    loop {
        sleep(THINNING).await;
        let Some(host) = host.upgrade() else { return };
        host.crowd.thin_out(host.bounds.slow);
    }
}

/// Makes room in the budget of a host whenever it runs short, for as long as the host is there.
pub(super) async fn relieve(host: Weak<Host>) {
    loop {
        let Some(budget) = host.upgrade().map(|host| host.budget.clone()) else { return };
        budget.runs_short().await;
        while budget.waiting() > 0 {
            let Some(host) = host.upgrade() else { return };
            for _ in 0..budget.waiting().div_ceil(AT_ONCE) {
                if !host.crowd.make_room(Need::Bytes) {
                    break;
                }
            }
            drop(host);
            sleep(RELIEF).await;
        }
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
    use super::super::activity::Activity;
    use super::member::WINDOW;
    use super::*;
    use crate::budget::Account;

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

    #[tokio::test(start_paused = true)]
    async fn of_those_that_take_nothing_so_many_stay_as_there_is_memory_for() {
        let crowd = Crowd::default();
        let account = crate::budget::Budget::unbounded().account();
        let activity = Arc::new(Activity::of_http1());
        let (_request, _) = activity.begin();
        let _awaited = Account::awaits(&account);
        let places = [(); 5].map(|()| crowd.enter(None, 9).unwrap());
        for place in &places[..4] {
            place.member.is(Stage::serving(&activity, &account, true));
        }
        let leave = async || {
            let mut count = 0;
            for place in &places {
                count += usize::from(leaves(place).await);
            }
            count
        };
        crowd.thin_out(2);
        assert_eq!(leave().await, 0, "they have only just begun");
        sleep(WINDOW).await;
        crowd.thin_out(4);
        assert_eq!(leave().await, 0, "there is memory for all of them");
        crowd.thin_out(3);
        assert_eq!(leave().await, 1);
        assert!(!leaves(&places[4]).await, "it waits for a request");
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

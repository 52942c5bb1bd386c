use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// Bytes of the largest piece.
const MOST: usize = 32 << 10;

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn room(lane: &mut Lane) -> bool {
    lane.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn piece(bytes: usize) -> Bytes {
    Bytes::from(vec![0; bytes])
}

#[test]
fn a_piece_is_counted_until_its_last_copy_is_gone() {
    let budget = Budget::of(1 << 20, 1 << 20);
    let all = budget.free();
    let account = budget.account();
    let mut lane = Lane::new(Arc::clone(&account), MOST);
    assert!(room(&mut lane));
    let sent = lane.count(piece(10_000));
    let copy = sent.slice(5_000..);
    drop((sent, lane));
    assert_eq!((account.unsent(), account.progress()), (10_000, 0));
    assert!(budget.free() != all);
    drop(copy);
    assert_eq!((account.unsent(), account.progress()), (0, 10_000));
    assert_eq!(budget.free(), all);
}

#[test]
fn a_connection_is_sure_of_one_piece_when_nothing_is_left_for_extras() {
    // One lane fits, and an eighth of the rest is less than a piece.
    let budget = Budget::of(64 << 10, 64 << 10);
    let account = budget.account();
    let mut lane = Lane::new(Arc::clone(&account), MOST);
    for _ in 0..3 {
        assert!(room(&mut lane));
        let sent = lane.count(piece(16 << 10));
        assert!(!room(&mut lane));
        drop(sent);
    }
}

#[test]
fn an_empty_piece_takes_no_room() {
    let account = Budget::of(64 << 10, 64 << 10).account();
    let mut lane = Lane::new(account, MOST);
    for _ in 0..2 {
        assert!(room(&mut lane));
        assert!(lane.count(Bytes::new()).is_empty());
    }
    let sent = lane.count(piece(1));
    assert!(!room(&mut lane));
    drop(sent);
    assert!(room(&mut lane));
}

#[test]
fn a_second_answer_of_the_connection_goes_on_when_the_first_is_done() {
    let budget = Budget::of(64 << 10, 64 << 10);
    let account = budget.account();
    let [mut first, mut second] = [(); 2].map(|()| Lane::new(Arc::clone(&account), MOST));
    assert!(room(&mut first));
    assert!(!room(&mut second));
    let sent = first.count(piece(1));
    drop(first);
    assert!(!room(&mut second));
    drop(sent);
    assert!(room(&mut second));
}

#[test]
fn what_is_kept_to_the_end_leaves_room_for_answers() {
    let account = Budget::of(1 << 20, 1 << 20).account();
    let mut kept = Vec::new();
    while let Some(extra) = account.lasting_extra(4 << 10) {
        kept.push(extra);
    }
    assert!(kept.len() > 10);
    let mut lanes = [(); 2].map(|()| Lane::new(Arc::clone(&account), MOST));
    assert!(lanes.iter_mut().all(room));
}

#[test]
fn who_waits_for_the_budget_is_heard_and_gets_what_is_given_back() {
    let budget = Budget::of(32 << 10, 32 << 10);
    let accounts = [(); 2].map(|()| budget.account());
    let mut lanes = accounts.map(|account| Lane::new(account, MOST));
    assert!(room(&mut lanes[0]));
    assert!(budget.waiting() == 0);
    assert!(!room(&mut lanes[1]));
    assert!(budget.waiting() > 0);
    lanes[0].rest();
    assert!(room(&mut lanes[1]));
    assert!(budget.waiting() == 0);
}

#[test]
fn who_does_not_wait_any_more_keeps_nobody_waiting() {
    let budget = Budget::of(32 << 10, 32 << 10);
    let accounts = [(); 2].map(|()| budget.account());
    let [mut first, mut second] = accounts.each_ref().map(|it| Lane::new(Arc::clone(it), MOST));
    assert!(room(&mut first));
    assert!(!room(&mut second));
    drop(second);
    assert!(budget.waiting() == 0);
    let mut second = Lane::new(Arc::clone(&accounts[1]), MOST);
    drop(first);
    assert!(room(&mut second));
}

#[test]
fn a_connection_is_opened_when_there_is_room_for_it() {
    let budget = Budget::of(16 << 10, 16 << 10);
    let (first, second) = (budget.account(), budget.account());
    let mut cx = Context::from_waker(Waker::noop());
    let open = ready(pin!(first.open(16 << 10)).poll(&mut cx)).unwrap();
    let mut opening = pin!(second.open(16 << 10));
    assert!(opening.as_mut().poll(&mut cx).is_pending());
    drop(open);
    assert!(opening.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn those_that_bring_many_requests_leave_half_of_the_room_to_others() {
    let budget = Budget::of(64 << 10, 64 << 10);
    let mut cx = Context::from_waker(Waker::noop());
    let accounts = [(); 4].map(|()| budget.account());
    let mut opened = Vec::new();
    for (account, is_there) in accounts.iter().zip([true, true, false, false]) {
        let permit = ready(pin!(account.open_multiplexed(16 << 10)).poll(&mut cx));
        assert_eq!(permit.is_some(), is_there);
        opened.push(permit);
    }
    let mut waiting = pin!(accounts[3].open_multiplexed(16 << 10));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert!(
        pin!(budget.account().open(16 << 10)).poll(&mut cx).is_ready(),
        "it waits for none of them"
    );
    drop(opened);
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn greedy_connections_leave_room_for_others() {
    let budget = Budget::of(8 << 20, 8 << 20);
    let mut extras = Vec::new();
    for _ in 0..100 {
        let account = budget.account();
        while let Some(extra) = account.extra(16 << 10) {
            extras.push(extra);
        }
    }
    let free = budget.free()[1];
    assert!(free >= (SHARE - 1) * (16 << 10), "{free} bytes are left");
    drop(extras);
    assert_eq!(budget.free(), [8 << 20; 2]);
}

/// What a client can bring about.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The answer is asked for room and given a piece of so many bytes.
    Answer(usize, usize),
    /// The kernel takes the oldest piece.
    Sent(usize),
    /// The answer ends, and another one begins.
    End(usize),
    Rest(usize),
    Extra(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (lane, size) = (0..6_usize, 0..=MOST);
    let step = prop_oneof![
        4 => (lane.clone(), size.clone()).prop_map(|(lane, size)| Step::Answer(lane, size)),
        3 => lane.clone().prop_map(Step::Sent),
        1 => lane.clone().prop_map(Step::End),
        1 => lane.clone().prop_map(Step::Rest),
        1 => (lane, size).prop_map(|(lane, size)| Step::Extra(lane, size)),
    ];
    proptest::collection::vec(step, 0..200)
}

/// How often it was woken.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

proptest! {
    /// Many answers on each of two connections, polled as their tasks would be: when they are woken.
    #[test]
    fn every_answer_comes_to_its_end_while_all_that_is_sent_is_taken(
        kib in 64..2000_u64,
        sizes in proptest::collection::vec((0..=2 * MOST, 1..4_usize), 1..24),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let budget = Budget::of(kib << 10, kib << 10);
        let accounts = [(); 2].map(|()| budget.account());
        let alarms: Vec<_> = sizes.iter().map(|_| Arc::new(Alarm(1.into()))).collect();
        let mut answers: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(at, (_, pieces))| (Some(Lane::new(Arc::clone(&accounts[at % 2]), MOST)), *pieces))
            .collect();
        let mut order = order.iter().cycle();
        let mut kernel = Vec::new();
        while answers.iter().any(|(lane, _)| lane.is_some()) {
            let awake: Vec<_> = (0..answers.len())
                .filter(|at| answers[*at].0.is_some() && alarms[*at].0.load(Relaxed) > 0)
                .collect();
            let choice = order.next().unwrap();
            // Something is read of an answer, or the kernel takes a piece.
            if kernel.is_empty() || (!awake.is_empty() && choice.index(3) > 0) {
                prop_assert!(!awake.is_empty(), "all wait, and nothing is on its way");
                let at = *choice.get(&awake);
                alarms[at].0.store(0, Relaxed);
                let (slot, left) = &mut answers[at];
                let lane = slot.as_mut().unwrap();
                let waker = Arc::clone(&alarms[at]).into();
                if lane.poll_room(&mut Context::from_waker(&waker)).is_ready() {
                    // The task goes on at once.
                    alarms[at].0.store(1, Relaxed);
                    if *left == 0 {
                        *slot = None;
                    } else {
                        *left -= 1;
                        kernel.push(lane.count(piece(sizes[at].0.min(MOST))));
                    }
                }
            } else {
                drop(kernel.swap_remove(choice.index(kernel.len())));
            }
        }
    }

    /// Two answers on each of three connections, whatever their clients do.
    #[test]
    fn what_is_held_is_never_more_than_the_budget_and_all_of_it_comes_back(
        steps in steps(),
        kib in 64..600_u64,
    ) {
        let budget = Budget::of(kib << 10, kib << 10);
        let pool = usize::try_from(kib).unwrap() << 10;
        let accounts = [(); 3].map(|()| budget.account());
        let lane = |at: usize| Lane::new(Arc::clone(&accounts[at / 2]), MOST);
        let mut lanes: Vec<_> = (0..6).map(lane).collect();
        let mut pieces: Vec<VecDeque<Bytes>> = vec![VecDeque::new(); 6];
        let mut extras = Vec::new();
        for step in steps {
            match step {
                Step::Answer(at, size) => {
                    if room(&mut lanes[at]) {
                        let piece = lanes[at].count(piece(size));
                        pieces[at].push_back(piece);
                    }
                }
                Step::Sent(at) => drop(pieces[at].pop_front()),
                Step::End(at) => lanes[at] = lane(at),
                Step::Rest(at) => lanes[at].rest(),
                Step::Extra(at, size) => extras.extend(accounts[at / 2].extra(size)),
            }
            let held: usize = pieces.iter().flatten().map(Bytes::len).sum();
            prop_assert!(held <= pool);
            let unsent: usize = accounts.iter().map(|account| account.unsent()).sum();
            prop_assert_eq!(unsent, held);
        }
        // All that is left is what the clients hold; one by one they get on.
        extras.clear();
        for (lane, pieces) in lanes.iter_mut().zip(&mut pieces) {
            pieces.clear();
            lane.rest();
        }
        for lane in &mut lanes {
            prop_assert!(room(lane), "an answer waits for nobody");
            lane.rest();
        }
        drop(lanes);
        prop_assert_eq!(budget.free(), [pool; 2]);
        prop_assert!(budget.waiting() == 0);
    }
}

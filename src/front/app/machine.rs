//! What is to be done when something happens to the app. Pure.
//!
//! ```text
//!            healthy                 swap             new one healthy: moved
//! Starting ──────────► Serving ◄──────────► Swapping ──────────────────────► Serving
//!    ▲  │ ended           │ ended, sick        │ new one ended: not swapped
//!    │  ▼                 ▼                    │ old one ended: the new one starts
//!    └─ Down ◄────────────┘ ◄──────────────────┘
//!       pause over
//! ```

/// Counts the lives of the app since the start of the front.
pub(super) type Number = u32;

/// How the app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody serves; this one is on its way up.
    Starting(Number),
    /// This one serves.
    Serving(Number),
    /// The old one serves, the new one is on its way up.
    Swapping { old: Number, new: Number },
    /// Nobody serves, and the next one starts after a pause.
    Down,
    /// It crashed too often, or never came up.
    GivenUp,
    /// It is being stopped for good.
    Stopping,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It answered its health question well, for the first time.
    Healthy(Number),
    /// It failed its health question too often, and is being killed.
    Sick(Number),
    /// It is gone.
    Ended(Number),
    /// The crash guard has counted the last crash: is the next one still allowed?
    Counted { too_often: bool },
    /// The pause after a crash is over.
    Paused,
    /// Somebody asks for a swap.
    Swap,
    /// The app is to be stopped.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Start this one.
    Start(Number),
    /// Send requests to it.
    Open(Number),
    /// Send no requests to any.
    Close,
    /// Let its requests end, then stop it.
    Retire(Number),
    /// Tell the crash guard; its answer is [`Event::Counted`].
    Count,
    /// Wait before the next start; then comes [`Event::Paused`].
    Pause,
    /// The app does not come up again.
    GiveUp,
    /// The swap is not done: the old one serves on.
    NotSwapped,
    /// There is nobody to swap with now.
    RefuseSwap,
}

/// The state and the last number given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    state: State,
    last: Number,
    /// One has been healthy since the start of the front.
    was_up: bool,
}

impl Machine {
    /// The first one is to be started: [`Action::Start`] of number 1.
    pub(super) fn new() -> Self {
        Self { state: State::Starting(1), last: 1, was_up: false }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// What follows from an event. One that is late, of a life that is over or being stopped, changes
    /// nothing.
    pub(super) fn apply(&mut self, event: Event) -> Vec<Action> {
        use State::{Down, GivenUp, Serving, Starting, Stopping, Swapping};
        let (state, actions) = match (self.state, event) {
            (Starting(number), Event::Healthy(it)) if it == number => {
                self.was_up = true;
                (Serving(number), vec![Action::Open(number)])
            }
            // systemd restarts a front whose app never came up; its crash guard counts that.
            (Starting(number), Event::Ended(it)) if it == number && !self.was_up => {
                (GivenUp, vec![Action::GiveUp])
            }
            (Starting(number), Event::Ended(it)) if it == number => (Down, vec![Action::Count]),
            (Serving(number), Event::Sick(it)) if it == number => {
                (Serving(number), vec![Action::Close])
            }
            (Serving(number), Event::Ended(it)) if it == number => {
                (Down, vec![Action::Close, Action::Count])
            }
            (Serving(old), Event::Swap) => {
                let new = self.next();
                (Swapping { old, new }, vec![Action::Start(new)])
            }
            (Swapping { old, new }, Event::Healthy(it)) if it == new => {
                (Serving(new), vec![Action::Open(new), Action::Retire(old)])
            }
            (Swapping { old, new }, Event::Ended(it)) if it == new => {
                (Serving(old), vec![Action::NotSwapped])
            }
            (Swapping { old, new }, Event::Sick(it)) if it == old => {
                (Swapping { old, new }, vec![Action::Close])
            }
            // The new one is the next one now. It is on its way already, so it gets its chance whatever
            // the guard has counted.
            (Swapping { old, new }, Event::Ended(it)) if it == old => {
                (Starting(new), vec![Action::Close, Action::Count])
            }
            (Starting(_) | Swapping { .. } | Down, Event::Swap) => {
                (self.state, vec![Action::RefuseSwap])
            }
            (Down, Event::Counted { too_often: true }) => (GivenUp, vec![Action::GiveUp]),
            (Down, Event::Counted { too_often: false }) => (Down, vec![Action::Pause]),
            (Down, Event::Paused) => {
                let next = self.next();
                (Starting(next), vec![Action::Start(next)])
            }
            (GivenUp | Stopping, Event::Swap) => (self.state, vec![Action::RefuseSwap]),
            (state, Event::Stop) => (Stopping, end_of(state)),
            (state, _) => (state, Vec::new()),
        };
        self.state = state;
        actions
    }

    fn next(&mut self) -> Number {
        self.last = self.last.saturating_add(1);
        self.last
    }
}

/// What ends the lives of a state.
fn end_of(state: State) -> Vec<Action> {
    match state {
        State::Starting(number) | State::Serving(number) => vec![Action::Retire(number)],
        State::Swapping { old, new } => {
            vec![Action::NotSwapped, Action::Retire(old), Action::Retire(new)]
        }
        State::Down | State::GivenUp | State::Stopping => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn serving() -> Machine {
        let mut machine = Machine::new();
        assert_eq!(machine.apply(Event::Healthy(1)), [Action::Open(1)]);
        machine
    }

    #[test]
    fn a_swap_moves_the_requests_and_retires_the_old_one() {
        let mut machine = serving();
        assert_eq!(machine.apply(Event::Swap), [Action::Start(2)]);
        assert_eq!(machine.apply(Event::Swap), [Action::RefuseSwap]);
        assert_eq!(machine.apply(Event::Healthy(2)), [Action::Open(2), Action::Retire(1)]);
        assert_eq!(machine.apply(Event::Ended(1)), []);
        assert_eq!(machine.state(), State::Serving(2));
    }

    #[test]
    fn a_new_one_that_ends_leaves_the_old_one_serving() {
        let mut machine = serving();
        machine.apply(Event::Swap);
        assert_eq!(machine.apply(Event::Ended(2)), [Action::NotSwapped]);
        assert_eq!(machine.state(), State::Serving(1));
    }

    #[test]
    fn an_old_one_that_crashes_in_a_swap_is_replaced_by_the_new_one() {
        let mut machine = serving();
        machine.apply(Event::Swap);
        assert_eq!(machine.apply(Event::Ended(1)), [Action::Close, Action::Count]);
        assert_eq!(machine.apply(Event::Counted { too_often: true }), []);
        assert_eq!(machine.apply(Event::Healthy(2)), [Action::Open(2)]);
        assert_eq!(machine.state(), State::Serving(2));
    }

    #[test]
    fn a_crash_is_counted_once_and_followed_by_a_start_or_by_the_end() {
        let mut machine = serving();
        assert_eq!(machine.apply(Event::Sick(1)), [Action::Close]);
        assert_eq!(machine.apply(Event::Ended(1)), [Action::Close, Action::Count]);
        assert_eq!(machine.apply(Event::Counted { too_often: false }), [Action::Pause]);
        assert_eq!(machine.apply(Event::Paused), [Action::Start(2)]);
        assert_eq!(machine.apply(Event::Ended(2)), [Action::Count]);
        assert_eq!(machine.apply(Event::Counted { too_often: true }), [Action::GiveUp]);
        assert_eq!(machine.apply(Event::Swap), [Action::RefuseSwap]);
    }

    #[test]
    fn one_that_never_came_up_is_left_to_systemd() {
        assert_eq!(Machine::new().apply(Event::Ended(1)), [Action::GiveUp]);
    }

    /// An event, and what the guard says if it has to count.
    fn events() -> impl Strategy<Value = Vec<(Event, bool)>> {
        let number = || 1u32..6;
        let event = prop_oneof![
            number().prop_map(Event::Healthy),
            number().prop_map(Event::Sick),
            number().prop_map(Event::Ended),
            Just(Event::Paused),
            Just(Event::Swap),
            Just(Event::Stop),
        ];
        proptest::collection::vec((event, any::<bool>()), 0..60)
    }

    /// A world in which lives really start and end.
    #[derive(Default)]
    struct World {
        alive: BTreeSet<Number>,
        healthy: BTreeSet<Number>,
        /// Told to end.
        told: BTreeSet<Number>,
        open: Option<Number>,
        pausing: bool,
        counted: u32,
    }

    impl World {
        /// Whether this can happen; then it has.
        fn lets(&mut self, event: Event) -> bool {
            match event {
                Event::Healthy(it) => {
                    self.alive.contains(&it) && !self.told.contains(&it) && self.healthy.insert(it)
                }
                Event::Sick(it) => self.healthy.contains(&it) && !self.told.contains(&it),
                Event::Ended(it) => {
                    self.healthy.remove(&it);
                    self.alive.remove(&it)
                }
                Event::Paused => std::mem::take(&mut self.pausing),
                Event::Counted { .. } => false,
                Event::Swap | Event::Stop => true,
            }
        }

        /// Does what is to be done, as the supervisor does.
        fn act(
            &mut self,
            machine: &mut Machine,
            event: Event,
            too_often: bool,
        ) -> Result<(), TestCaseError> {
            for action in machine.apply(event) {
                match action {
                    Action::Start(it) => prop_assert!(self.alive.insert(it), "{it} started twice"),
                    Action::Open(it) => {
                        prop_assert!(self.healthy.contains(&it), "{it} is not up");
                        self.open = Some(it);
                    }
                    Action::Close => self.open = None,
                    Action::Retire(it) => {
                        prop_assert!(self.alive.contains(&it));
                        self.told.insert(it);
                    }
                    Action::Count => {
                        self.counted += 1;
                        self.act(machine, Event::Counted { too_often }, too_often)?;
                    }
                    Action::Pause => {
                        prop_assert!(!self.pausing);
                        self.pausing = true;
                    }
                    Action::GiveUp => prop_assert_eq!(machine.state(), State::GivenUp),
                    Action::NotSwapped | Action::RefuseSwap => {}
                }
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_requests_go_to_a_life_that_is_up(events in events()) {
            let mut machine = Machine::new();
            let mut world = World { alive: BTreeSet::from([1]), ..World::default() };
            for (event, too_often) in events {
                let (before, was_told) = (machine.state(), world.told.clone());
                if !world.lets(event) { continue }
                let counted = world.counted;
                world.act(&mut machine, event, too_often)?;
                match machine.state() {
                    State::Serving(it) => {
                        prop_assert!(world.alive.contains(&it) || world.open != Some(it));
                    }
                    State::Swapping { old, new } => prop_assert!(old != new),
                    // There is always something that leads on.
                    State::Down => prop_assert!(world.pausing),
                    State::Starting(it) => prop_assert!(world.alive.contains(&it)),
                    // Nobody stays who was not told to end.
                    State::GivenUp | State::Stopping => {
                        prop_assert!(world.alive.is_subset(&world.told));
                    }
                }
                // Each end that nobody asked for is counted, once; but that of an app that was never
                // up, which ends the front too, and that of a new one that leaves the old one serving.
                if let Event::Ended(it) = event {
                    let is_new = matches!(before, State::Swapping { new, .. } if new == it);
                    let never_up = before == State::Starting(1);
                    let counts = !was_told.contains(&it) && !is_new && !never_up;
                    prop_assert_eq!(world.counted - counted, u32::from(counts));
                } else {
                    prop_assert_eq!(world.counted, counted);
                }
            }
        }
    }
}

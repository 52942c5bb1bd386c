//! What the guard promises, as a model: whatever happens in whatever order, an instance is errored only after so
//! many quick crashes in a row; the pauses double; there are never two tries without a pause between them; and a
//! good uptime or somebody's hand resets all of that.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::Retry;

const MIN_UPTIME: Duration = Duration::from_secs(10);

/// What happens to an instance, or to the stand-in that runs in its place.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// Time passes, in seconds. A stand-in whose pause is over by then ends.
    Wait(u64),
    /// It gets ready.
    Ready,
    /// Its process ends badly: by itself, by the kernel for want of memory, by the watchdog. One that stands in dies.
    Ends(Badly),
    /// The child of its front ends.
    ChildEnds,
    /// Somebody stops it, and starts it again.
    StopAndStart,
    /// It recycles itself.
    EndsWell,
}

#[derive(Debug, Clone, Copy)]
enum Badly {
    ExitCode,
    OomKill,
    Watchdog,
}

impl Badly {
    fn result(self) -> ServiceResult {
        match self {
            Self::ExitCode => ServiceResult::ExitCode,
            Self::OomKill => ServiceResult::OomKill,
            Self::Watchdog => ServiceResult::Watchdog,
        }
    }
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let badly = prop_oneof![Just(Badly::ExitCode), Just(Badly::OomKill), Just(Badly::Watchdog)];
    let one = prop_oneof![
        4 => (0_u64..30).prop_map(Happens::Wait),
        2 => (30_u64..5_000).prop_map(Happens::Wait),
        3 => Just(Happens::Ready),
        6 => badly.prop_map(Happens::Ends),
        3 => Just(Happens::ChildEnds),
        1 => Just(Happens::StopAndStart),
        1 => Just(Happens::EndsWell),
    ];
    proptest::collection::vec(one, 0..80)
}

/// What the model knows, in words of the promise and not in those of the file.
#[derive(Debug, Default)]
struct Model {
    /// When it got ready, in this run.
    ready: Option<BootTime>,
    /// Quick crashes since the last good uptime, or somebody's hand.
    crashes: u32,
    /// How often it was errored since then.
    errored: u32,
    /// A stand-in runs, until then.
    until: Option<BootTime>,
    /// A front told of the end of its child, and of nothing good since.
    told: bool,
}

impl Model {
    fn crash(&mut self, now: BootTime) {
        let good = self.ready.take().is_some_and(|ready| now.since(ready) >= MIN_UPTIME);
        if good {
            *self = Self::default();
        } else {
            self.crashes += 1;
        }
    }
}

/// systemd, the instance and the file between them.
struct World {
    guard: Guard,
    max_restarts: u32,
    first: Duration,
    now: BootTime,
    model: Model,
}

impl World {
    /// A start is asked for: what is let through is exactly what the promise says.
    fn start(&mut self) -> Result<(), TestCaseError> {
        let verdict =
            self.guard.before_start(self.now, self.max_restarts, Retry::After(self.first));
        let verdict = verdict.unwrap();
        self.model.told = false;
        let is_too_often = self.model.crashes >= self.max_restarts + self.model.errored;
        match (self.model.until, verdict) {
            // Its stand-in was killed: whoever takes its place waits for the same moment.
            (Some(until), Verdict::StandIn(errored)) => prop_assert_eq!(errored.retry_at, until),
            (Some(until), Verdict::Start) => {
                prop_assert!(self.now >= until, "a try before the pause was over");
                self.model.until = None;
            }
            (None, Verdict::Start) => {
                prop_assert!(!is_too_often, "{} crashes are too many", self.model.crashes);
            }
            (None, Verdict::StandIn(errored)) => {
                prop_assert!(is_too_often, "{} crashes are not too many", self.model.crashes);
                prop_assert_eq!(errored.crashes, self.model.crashes);
                let doubled = self.first.saturating_mul(1 << self.model.errored.min(20));
                let pause = doubled.min(Duration::from_secs(3600));
                prop_assert_eq!(errored.retry_at.since(self.now), pause);
                self.model.errored += 1;
                self.model.until = Some(errored.retry_at);
            }
            (_, Verdict::Errored { .. }) => prop_assert!(false, "given up for ever"),
        }
        let stands_in = self.guard.stand_in().unwrap();
        prop_assert_eq!(stands_in.map(|errored| errored.retry_at), self.model.until);
        Ok(())
    }

    fn ends(&mut self, result: &ServiceResult) -> Result<(), TestCaseError> {
        self.guard.after_stop(self.now, result, MIN_UPTIME).unwrap();
        self.start()
    }

    fn happens(&mut self, what: Happens) -> Result<(), TestCaseError> {
        match what {
            Happens::Wait(seconds) => {
                self.now = self.now.after(Duration::from_secs(seconds));
                if self.model.until.is_some_and(|until| self.now >= until) {
                    self.guard.pause_over(self.now).unwrap();
                    self.ends(&ServiceResult::Success)?;
                    prop_assert_eq!(self.model.until, None, "the pause is over");
                }
            }
            Happens::Ready => {
                self.guard.ready(self.now).unwrap();
                if self.model.until.is_none() {
                    self.model.ready = Some(self.now);
                    self.model.told = false;
                }
            }
            Happens::Ends(badly) => {
                if self.model.until.is_none() && !self.model.told {
                    self.model.crash(self.now);
                }
                self.model.ready = None;
                self.ends(&badly.result())?;
            }
            // Only one that runs has a child; a front whose child has ended too often ends too.
            Happens::ChildEnds if self.model.until.is_none() => {
                let state = self.guard.child_ended(self.now, MIN_UPTIME).unwrap();
                self.model.crash(self.now);
                self.model.told = true;
                prop_assert_eq!(state.crashes, self.model.crashes);
                if state.crashes >= self.max_restarts {
                    self.ends(&ServiceResult::ExitCode)?;
                }
            }
            Happens::StopAndStart => {
                self.model = Model::default();
                self.ends(&ServiceResult::Success)?;
                prop_assert_eq!(self.model.until, None, "somebody started it");
            }
            Happens::EndsWell if self.model.until.is_none() => {
                self.model = Model::default();
                self.ends(&ServiceResult::Success)?;
            }
            // What stands in has no child, and does not recycle itself.
            Happens::ChildEnds | Happens::EndsWell => {}
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn errored_is_what_the_promise_says_and_not_for_ever(
        max_restarts in 1_u32..6,
        first in 1_u64..200,
        happens in happens(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World {
            guard: Guard::at(dir.path(), "1".parse().unwrap()),
            max_restarts,
            first: Duration::from_secs(first),
            now: BootTime::after_boot(Duration::from_secs(1000)),
            model: Model::default(),
        };
        world.start()?;
        for what in happens {
            world.happens(what)?;
        }
        // Left alone it is tried again, whatever has happened: the longest pause is an hour.
        world.happens(Happens::Wait(3_600))?;
        prop_assert_eq!(world.model.until, None);
        prop_assert!(!world.guard.state().errored);
    }
}

//! The swaps that were asked for, and what came of them.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::machine::Number;
use crate::health::{SwapAnswer, SwapState};

/// Why there is no swap now.
#[derive(Debug, Clone)]
pub(crate) struct Objection {
    pub(super) reason: String,
    /// A restart of the instance would do.
    pub(super) restart: bool,
}

impl Objection {
    /// There is no app any more.
    pub(super) fn ending() -> Self {
        Self { reason: "the instance is ending".into(), restart: false }
    }
}

/// What came of a swap that somebody asked for.
#[derive(Debug, Clone)]
pub(crate) enum Swapped {
    /// The requests go to the new app, and the old one is gone.
    Done { took: Duration, generation: Option<Number> },
    /// The new app ended before it was well: how, as the end of a sentence that begins with "the new
    /// app". The old one serves on.
    Failed(String),
    /// It was not begun, or broken off because the instance ends.
    Refused(Objection),
}

impl From<Swapped> for SwapAnswer {
    fn from(swapped: Swapped) -> Self {
        match swapped {
            Swapped::Done { took, generation } => {
                let took_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
                Self { swapped: true, took_ms, generation, ..Self::default() }
            }
            Swapped::Failed(how) => {
                Self { reason: Some(format!("the new app {how}")), ..Self::default() }
            }
            Swapped::Refused(Objection { reason, restart }) => {
                Self { reason: Some(reason), restart, ..Self::default() }
            }
        }
    }
}

/// All swaps since the start of the front.
#[derive(Debug, Default)]
pub(super) struct Swaps {
    now: Option<Swap>,
    ended: u64,
    last: Option<SwapAnswer>,
}

/// A swap under way.
#[derive(Debug)]
struct Swap {
    old: Number,
    /// None: not begun to start.
    new: Option<Number>,
    begun: Instant,
    /// Requests go to the new one.
    moved: bool,
    answer: oneshot::Sender<Swapped>,
}

impl Swaps {
    /// Whether one is under way: it is until the old app is gone.
    pub(super) fn is_under_way(&self) -> bool {
        self.now.is_some()
    }

    /// This one is to be swapped.
    pub(super) fn begin(&mut self, old: Number, answer: oneshot::Sender<Swapped>) {
        self.now = Some(Swap { old, new: None, begun: Instant::now(), moved: false, answer });
    }

    /// This one is the new one.
    pub(super) fn starts(&mut self, new: Number) {
        if let Some(swap) = &mut self.now {
            swap.new = Some(new);
        }
    }

    /// Requests go to this one.
    pub(super) fn opened(&mut self, number: Number) {
        if let Some(swap) = &mut self.now
            && swap.new == Some(number)
        {
            swap.moved = true;
        }
    }

    /// Something has happened to this one: that may have been the last thing that a swap waited for.
    /// `reason`: how the last one ended that did.
    pub(super) fn look(&mut self, number: Number, is_there: impl Fn(Number) -> bool, reason: &str) {
        let Some(swap) = &self.now else { return };
        if swap.moved && !is_there(swap.old) {
            let (took, generation) = (swap.begun.elapsed(), swap.new);
            self.end(Swapped::Done { took, generation });
        } else if !swap.moved && swap.new == Some(number) && !is_there(number) {
            self.end(Swapped::Failed(reason.to_owned()));
        }
    }

    /// This came of the one under way.
    pub(super) fn end(&mut self, outcome: Swapped) {
        if let Some(swap) = self.now.take() {
            self.settle(swap.answer, outcome);
        }
    }

    /// One is not begun.
    pub(super) fn refuse(&mut self, answer: oneshot::Sender<Swapped>, why: Objection) {
        self.settle(answer, Swapped::Refused(why));
    }

    /// Keeps what came of a swap, and tells it to the one who asked.
    fn settle(&mut self, answer: oneshot::Sender<Swapped>, outcome: Swapped) {
        self.ended += 1;
        self.last = Some(outcome.clone().into());
        // Who asked may have gone away.
        let _ = answer.send(outcome);
    }

    /// How it stands, with what there is to be said against a swap now.
    pub(super) fn state(&self, objection: Option<Objection>) -> SwapState {
        SwapState {
            possible: objection.is_none(),
            restart: objection.as_ref().is_some_and(|why| why.restart),
            reason: objection.map(|why| why.reason),
            swaps: self.ended,
            last: self.last.clone(),
            ..SwapState::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> (Swaps, oneshot::Receiver<Swapped>) {
        let mut swaps = Swaps::default();
        let (answer, answered) = oneshot::channel();
        swaps.begin(1, answer);
        swaps.starts(2);
        (swaps, answered)
    }

    #[tokio::test(start_paused = true)]
    async fn a_swap_is_over_when_the_old_one_is_gone() {
        let (mut swaps, mut answered) = begun();
        swaps.opened(2);
        swaps.look(2, |_| true, "");
        assert!(swaps.is_under_way());
        assert!(answered.try_recv().is_err());
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        swaps.look(1, |number| number == 2, "ended");
        let answer = SwapAnswer::from(answered.await.unwrap());
        assert_eq!(
            (answer.swapped, answer.took_ms, answer.generation),
            (true, Some(2000), Some(2))
        );
        let state = swaps.state(None);
        assert!(state.possible && !swaps.is_under_way());
        assert_eq!((state.swaps, state.last), (1, Some(answer)));
    }

    #[tokio::test]
    async fn a_swap_whose_old_one_crashes_is_over_when_the_new_one_serves() {
        let (mut swaps, answered) = begun();
        swaps.look(1, |number| number == 2, "crashed");
        assert!(swaps.is_under_way());
        swaps.opened(2);
        swaps.look(2, |number| number == 2, "crashed");
        assert!(SwapAnswer::from(answered.await.unwrap()).swapped);
    }

    #[tokio::test]
    async fn a_swap_fails_with_its_new_one_and_each_is_counted() {
        let (mut swaps, answered) = begun();
        swaps.look(2, |number| number == 1, "exited with code 1");
        let reason = SwapAnswer::from(answered.await.unwrap()).reason;
        assert_eq!(reason.as_deref(), Some("the new app exited with code 1"));
        let (answer, refused) = oneshot::channel();
        let why = Objection { reason: "no memory".into(), restart: true };
        swaps.refuse(answer, why.clone());
        let refused = SwapAnswer::from(refused.await.unwrap());
        assert!(refused.restart && !refused.swapped);
        let state = swaps.state(Some(why));
        assert_eq!((state.possible, state.restart, state.swaps), (false, true, 2));
        assert_eq!(state.last, Some(refused));
    }
}

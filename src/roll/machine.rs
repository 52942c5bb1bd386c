//! The state machine of a roll. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::gate::Gate;
use super::plan::{Plan, Planned, Reason, Way};
use super::protocol::{Action, Event, IllegalEvent};
use super::turn::{End, Step, Task, Turn};
use crate::unit::InstanceId;

/// How a roll goes through the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How many instances may be under way at the same time.
    pub parallel: usize,
    /// Extra instances, which serve while others are restarted. Capacity stays whole if there are as
    /// many as may be under way.
    pub extra: Vec<InstanceId>,
    /// Whether the rest is rolled after one that failed.
    pub goes_on: bool,
    /// Whether the first good one is watched before the rest is rolled.
    pub watches: bool,
    /// When an instance counts as good.
    pub gate: Gate,
}

/// A roll under way: what to do next ([`Roll::actions`]) and what came of it ([`Roll::apply`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    rules: Rules,
    waiting: VecDeque<Planned>,
    turns: BTreeMap<InstanceId, Turn>,
    extra: Extra,
    rolled: Vec<Planned>,
    stopped: Vec<InstanceId>,
    failed: Vec<Failed>,
    is_canceled: bool,
    /// An extra instance did not come up: nobody is restarted in its shelter.
    lacks_extra: bool,
    /// One was good, and was watched if that is wanted.
    is_proven: bool,
    all: usize,
}

/// The extra instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    NotNeeded,
    Coming,
    Serving,
    Leaving,
    Gone,
}

/// An instance that does not serve what is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The instance.
    pub instance: InstanceId,
    /// What is wrong with it: the end of a sentence that begins with its name.
    pub reason: String,
    /// It keeps serving what it ran before.
    pub serves_on: bool,
    /// It was restarted once more, and serves.
    pub is_put_back: bool,
    /// It served before the roll.
    pub served: bool,
}

/// How a roll ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Rolled and healthy, and how they came to be.
    pub rolled: Vec<Planned>,
    /// Left alone, because someone had stopped them.
    pub stopped: Vec<InstanceId>,
    /// Not touched, because the roll ended before.
    pub untouched: Vec<InstanceId>,
    /// Those that did not come up healthy, in the order in which that was found.
    pub failed: Vec<Failed>,
    /// Someone ended the roll before its time.
    pub is_canceled: bool,
    /// Extra instances that serve on in the place of those that failed.
    pub kept: Vec<InstanceId>,
}

impl Roll {
    /// A roll that has done nothing yet.
    #[must_use]
    pub fn new(plan: Plan, rules: Rules) -> Self {
        Self {
            rules: Rules { parallel: rules.parallel.max(1), ..rules },
            all: plan.order.len(),
            waiting: plan.order.into(),
            turns: BTreeMap::new(),
            extra: Extra::NotNeeded,
            rolled: Vec::new(),
            stopped: plan.stopped,
            failed: Vec::new(),
            is_canceled: false,
            lacks_extra: false,
            is_proven: false,
        }
    }

    /// Not a roll of what is there: instances that come new are started, all at once, and pass the
    /// same gate. None of them is put back.
    #[must_use]
    pub fn joining(ids: &[InstanceId], gate: Gate) -> Self {
        let rules =
            Rules { parallel: ids.len(), extra: vec![], goes_on: true, watches: false, gate };
        let mut roll = Self::new(Plan { order: vec![], stopped: vec![] }, rules);
        roll.all = ids.len();
        roll.give(ids, Task::Join);
        roll
    }

    /// What is to be done now that is not under way yet. The roll is over when nothing is under way
    /// and this is empty.
    pub fn actions(&mut self) -> Vec<Action> {
        self.begin();
        let due = |turn: &mut Turn| {
            let action = turn.action().filter(|_| !turn.is_issued)?;
            turn.is_issued = true;
            Some(action)
        };
        self.turns.values_mut().filter_map(due).collect()
    }

    /// Takes what came of an action.
    ///
    /// # Errors
    /// Where the event does not answer an action that is under way; the roll is as it was.
    pub fn apply(&mut self, instance: InstanceId, event: Event) -> Result<(), IllegalEvent> {
        let waits = !self.rules.extra.is_empty() && self.extra != Extra::Serving;
        let Some(turn) = self.turns.get_mut(&instance).filter(|turn| turn.is_issued) else {
            return Err(IllegalEvent { instance, action: None, event });
        };
        if let Err(event) = turn.apply(&self.rules.gate, waits, event) {
            return Err(IllegalEvent { instance, action: turn.action(), event });
        }
        if matches!(turn.step, Step::Over(_))
            && let Some(turn) = self.turns.remove(&instance)
        {
            self.settle(turn);
        }
        Ok(())
    }

    /// Begins no more turns: those under way come to their end.
    pub fn cancel(&mut self) {
        self.is_canceled = true;
    }

    /// The instance at hand, and how it is rolled; none: it has no turn now.
    #[must_use]
    pub fn at_hand(&self, instance: InstanceId) -> Option<&Planned> {
        self.turns.get(&instance).map(|turn| &turn.planned)
    }

    /// Instances whose turn is now, extra ones too.
    pub fn under_way(&self) -> impl Iterator<Item = InstanceId> {
        self.turns.keys().copied()
    }

    /// Instances that serve and are not under way: what a canary is compared with.
    #[must_use]
    pub fn siblings(&self) -> Vec<InstanceId> {
        self.waiting.iter().filter(|planned| planned.serves).map(|planned| planned.id).collect()
    }

    /// How many instances are rolled, and how many are to be rolled in all.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.rolled.len(), self.all)
    }

    /// How it ended, or stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict {
            rolled: self.rolled.clone(),
            stopped: self.stopped.clone(),
            untouched: self.waiting.iter().map(|planned| planned.id).collect(),
            failed: self.failed.clone(),
            is_canceled: self.is_canceled,
            kept: self.kept().to_vec(),
        }
    }

    /// Begins the turns that may begin.
    fn begin(&mut self) {
        while self.may_begin()
            && let Some(planned) = self.waiting.pop_front()
        {
            // With a new release a restart tells enough.
            let is_new = self.rules.gate.release.is_some();
            let has_siblings = self.waiting.iter().any(|planned| planned.serves);
            let is_canary = self.rules.watches && !self.is_proven && (has_siblings || is_new);
            self.turns.insert(planned.id, Turn::new(planned, Task::Renew, is_canary));
        }
        if self.lacks_extra {
            self.put_back_waiting();
        }
        match self.extra {
            Extra::NotNeeded if self.turns.values().any(|turn| turn.step == Step::Hold) => {
                self.extra = Extra::Coming;
                self.give_extra(Task::Begin, 0);
            }
            Extra::Coming if self.is_free() && !self.lacks_extra && !self.turns.is_empty() => {
                self.extra = Extra::Serving;
                self.turns.values_mut().for_each(Turn::go_on);
            }
            Extra::Coming | Extra::Serving if self.turns.is_empty() => {
                let kept = self.kept().len();
                self.extra = Extra::Leaving;
                self.give_extra(Task::End, kept);
            }
            Extra::Leaving if self.turns.is_empty() => self.extra = Extra::Gone,
            _ => {}
        }
    }

    /// Whether one more instance may be touched: no more are down because of the roll than may be.
    fn may_begin(&self) -> bool {
        let has_ended = self.is_canceled || (!self.failed.is_empty() && !self.rules.goes_on);
        let is_leaving = matches!(self.extra, Extra::Leaving | Extra::Gone);
        let renewed = self.turns.values().filter(|turn| turn.task == Task::Renew);
        let allowed = if self.rules.watches && !self.is_proven { 1 } else { self.rules.parallel };
        !has_ended && !is_leaving && renewed.count() + self.hurt() < allowed
    }

    /// How many instances are down because of the roll, for good.
    fn hurt(&self) -> usize {
        let is_hurt = |one: &&Failed| one.served && !one.serves_on && !one.is_put_back;
        self.failed.iter().filter(is_hurt).count()
    }

    /// Extra instances that are to serve on: as many as are down.
    fn kept(&self) -> &[InstanceId] {
        match self.extra {
            Extra::Serving | Extra::Leaving | Extra::Gone if !self.lacks_extra => {
                &self.rules.extra[..self.hurt().min(self.rules.extra.len())]
            }
            _ => &[],
        }
    }

    /// Whether no extra instance is on its way.
    fn is_free(&self) -> bool {
        self.turns.values().all(|turn| turn.task == Task::Renew)
    }

    /// Gives a task to the extra instances, but for the first few.
    fn give_extra(&mut self, task: Task, but: usize) {
        let extra: Vec<_> = self.rules.extra.iter().skip(but).copied().collect();
        self.give(&extra, task);
    }

    fn give(&mut self, ids: &[InstanceId], task: Task) {
        for id in ids {
            let planned = Planned { id: *id, way: Way::Restart(Reason::Method), serves: false };
            self.turns.insert(*id, Turn::new(planned, task, false));
        }
    }

    /// Takes note of how a turn ended.
    fn settle(&mut self, turn: Turn) {
        let Step::Over(end) = turn.step else { return };
        match (turn.task, end) {
            (Task::Renew, End::Good) => {
                self.is_proven = true;
                self.rolled.push(turn.planned);
            }
            (Task::Join, End::Good) => self.rolled.push(turn.planned),
            (Task::Renew, End::Stopped) => self.stopped.push(turn.planned.id),
            (Task::Renew | Task::Join, End::Failed(failed))
            | (Task::Join, End::Canceled(failed)) => {
                self.failed.push(failed);
            }
            (Task::Renew, End::Canceled(failed)) => {
                self.is_canceled = true;
                self.failed.push(failed);
            }
            (Task::Begin, End::Failed(failed) | End::Canceled(failed)) => {
                let reason = format!("{} (an extra instance, by reload.surge)", failed.reason);
                self.failed.push(Failed { reason, ..failed });
                self.rules.goes_on = false;
                self.lacks_extra = true;
            }
            (Task::Begin | Task::End | Task::Join, _) => {}
        }
    }

    /// Those that waited for the extra instances have not been touched.
    fn put_back_waiting(&mut self) {
        let (held, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.turns)
            .into_iter()
            .partition(|(_, turn)| turn.step == Step::Hold);
        self.turns = rest;
        for turn in held.into_values().rev() {
            self.waiting.push_front(turn.planned);
        }
    }
}

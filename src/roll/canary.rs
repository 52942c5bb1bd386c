//! Whether the first instance that runs what is new is worse than its siblings. Pure.

use crate::health::Report;

/// Failed answers below this many say nothing: a client of a rare kind may have come by.
const FEWEST_ERRORS: u64 = 5;

/// The share of failed answers, in percent, that is too large for one without siblings: what was usual
/// before nobody tells.
const ALONE: u64 = 10;

/// How much larger the share of failed answers may be than twice that of the siblings, in percent.
const MARGIN: u64 = 1;

/// How many times the memory of the largest sibling it may hold, and how much more, in MB: one that has
/// just been started may still fill caches which the siblings have long filled.
const MEMORY_FACTOR: u64 = 2;
const MEMORY_MARGIN: u64 = 64;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Answers so far.
    pub(super) requests: u64,
    /// Those that say that the app or the server failed.
    pub(super) errors: u64,
    /// Those that say that the request was no good.
    pub(super) refused: u64,
    /// Memory of its cgroup, in MB.
    pub(super) memory: u64,
    /// How often its front has started its program again.
    pub(super) restarts: u32,
}

impl Sample {
    /// What a report says of it.
    #[must_use]
    pub(crate) fn of(report: &Report) -> Self {
        Self {
            requests: report.requests,
            errors: report.errors,
            refused: report.refused,
            memory: report.memory.used,
            restarts: report.app.map_or(0, |app| app.restarts),
        }
    }
}

/// An instance at the begin of the watch and now.
pub(crate) type Watched = (Sample, Sample);

/// Answers of the watch that say that the instance failed.
fn failed((before, now): &Watched) -> u64 {
    now.errors.saturating_sub(before.errors)
}

/// Answers of the watch that say something of the instance. A request that was no good says nothing: whoever
/// sends many of them to the siblings would make every failure beside them look like many.
fn judged((before, now): &Watched) -> u64 {
    let requests = now.requests.saturating_sub(before.requests);
    requests.saturating_sub(now.refused.saturating_sub(before.refused))
}

/// Compares an instance with its siblings.
///
/// # Errors
/// What is worse: the end of a sentence that begins with its name.
pub(crate) fn compare((before, now): Watched, siblings: &[Watched]) -> Result<(), String> {
    if now.restarts != before.restarts || now.requests < before.requests {
        return Err("was started again while it was watched".into());
    }
    let (errors, requests) = (failed(&(before, now)), judged(&(before, now)));
    let sum = |figure: fn(&Watched) -> u64| -> u64 { siblings.iter().map(figure).sum() };
    let (theirs, of) = (sum(failed), sum(judged));
    // In percent; the siblings' share is 0 where they answered nothing.
    let share = |errors: u64, requests: u64| (errors * 100).checked_div(requests).unwrap_or(0);
    let allowed = if siblings.is_empty() { ALONE } else { 2 * share(theirs, of) + MARGIN };
    let ours = share(errors, requests);
    if errors >= FEWEST_ERRORS && ours > allowed {
        let failed = format!("{errors} of its {requests} answers failed");
        return Err(if siblings.is_empty() {
            format!("does badly: {failed}")
        } else {
            format!("is worse than its siblings: {failed}, {theirs} of {of} of theirs")
        });
    }
    let largest = siblings.iter().map(|(_, now)| now.memory).max();
    match largest {
        Some(largest) if now.memory > MEMORY_FACTOR * largest + MEMORY_MARGIN => Err(format!(
            "is worse than its siblings: it holds {}M of memory, and the largest of them {largest}M",
            now.memory
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const BEGIN: Sample =
        Sample { requests: 1_000, errors: 3, refused: 7, memory: 50, restarts: 1 };

    fn after(requests: u64, errors: u64) -> Watched {
        let now =
            Sample { requests: BEGIN.requests + requests, errors: BEGIN.errors + errors, ..BEGIN };
        (BEGIN, now)
    }

    #[test]
    fn one_that_is_like_its_siblings_or_hardly_asked_is_not_worse() {
        assert_eq!(compare(after(0, 0), &[]), Ok(()));
        assert_eq!(compare(after(100, 4), &[after(100, 0)]), Ok(()));
        assert_eq!(compare(after(100, 40), &[after(100, 20)]), Ok(()));
        assert_eq!(compare(after(10_000, 100), &[after(10_000, 0)]), Ok(()));
    }

    #[test]
    fn one_that_fails_more_restarts_or_grows_is_worse() {
        let failing = compare(after(100, 5), &[after(80, 1), after(20, 0)]).unwrap_err();
        assert!(failing.contains("5 of its 100 answers failed, 1 of 100 of theirs"), "{failing}");
        let fails_alone = compare(after(100, 11), &[]).unwrap_err();
        assert!(fails_alone.contains("11 of its 100 answers failed"), "{fails_alone}");
        assert_eq!(compare(after(100, 10), &[]), Ok(()));
        let restarted = (BEGIN, Sample { restarts: 2, ..BEGIN });
        assert!(compare(restarted, &[]).is_err());
        let anew = (BEGIN, Sample { requests: 1, ..BEGIN });
        assert!(compare(anew, &[]).is_err());
        let grown = (BEGIN, Sample { memory: 165, ..BEGIN });
        let error = compare(grown, &[after(0, 0)]).unwrap_err();
        assert!(error.contains("it holds 165M of memory, and the largest of them 50M"), "{error}");
        let (before, now) = grown;
        assert_eq!(compare((before, Sample { memory: 164, ..now }), &[after(0, 0)]), Ok(()));
    }

    proptest! {
        #[test]
        fn requests_that_were_no_good_change_nothing_wherever_they_go(
            (requests, errors) in answers(),
            (theirs, of_theirs) in answers(),
            has_sibling: bool,
            refused in prop::array::uniform2(0..1_000_000_u64),
        ) {
            let flooded = |(before, now): Watched, by: u64| {
                (before, Sample { requests: now.requests + by, refused: now.refused + by, ..now })
            };
            let (ours, sibling) = (after(requests, errors), after(theirs, of_theirs));
            let siblings = |sibling| if has_sibling { vec![sibling] } else { Vec::new() };
            prop_assert_eq!(
                compare(flooded(ours, refused[0]), &siblings(flooded(sibling, refused[1]))),
                compare(ours, &siblings(sibling))
            );
        }
    }

    /// How many, and how many of them failed.
    fn answers() -> impl Strategy<Value = (u64, u64)> {
        (0..10_000_u64).prop_flat_map(|requests| (Just(requests), 0..=requests))
    }
}

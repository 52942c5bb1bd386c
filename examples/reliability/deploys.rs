//! The deploys that must not take the site down: what each ships, what is done to it, and what is promised.

use crate::faults::IN_HAND;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deploy {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What is shipped, or done to it, for a person.
    pub(crate) what: &'static str,
    /// What is promised.
    pub(crate) promise: &'static str,
    /// How it is brought about.
    pub(crate) kind: Kind,
}

/// What is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A release is shipped.
    Ships(Release),
    /// A good one is, and then taken back by hand.
    Rollback,
    /// `romuoctl deploy` is killed, and then a good one is shipped.
    Killed(Step),
    /// So it is where the roller is killed.
    RollerKilled(Way),
    /// Somebody else ships, or rolls back, while a deploy is under way.
    Second,
}

/// What a release is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Nothing is wrong with it.
    Good,
    /// So it is, and it comes with another configuration.
    Configured,
    /// It throws at boot.
    Throws,
    /// It never answers.
    Deaf,
    /// It answers 500 on its health path.
    Unwell,
    /// It crashes some seconds after its start.
    Crashes,
    /// So it does as an instance, and not where it is rehearsed.
    CrashesInstance,
    /// It takes more and more memory.
    Leaks,
    /// Its `romuo.toml` is broken.
    Misconfigured,
    /// It throws in instance 2, and not where it is rehearsed.
    ThrowsInTwo,
    /// So it does, and it comes with another configuration.
    ConfiguredThrowsInTwo,
    /// Its `deploy.before` fails.
    FailsBefore,
}

/// Where a deploy is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// While git checks a commit out.
    Check,
    /// While a line of `deploy.build` runs.
    Build,
    /// While the release is copied.
    Stage,
    /// While the candidate starts.
    Rehearse,
    /// While a line of `deploy.before` runs.
    Before,
    /// Once the roll is asked for, and before it begins; with the roller.
    Asked,
    /// The same; the roller goes on.
    Waiting,
    /// While the first instance is watched.
    Roll,
    /// While a line of `deploy.after` runs.
    After,
}

/// Where a roller is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// While the first instance of the new release is watched.
    Forward,
    /// While it goes back to the one before.
    Back,
}

/// What serves in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// What served at the begin.
    Old,
    /// What was shipped last.
    New,
}

/// What a row has to come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// The exit code of the last command.
    pub(crate) code: i32,
    /// The verdict on what was shipped last; none: it did not become a release.
    pub(crate) verdict: Option<&'static str>,
    /// What the reason for it says, besides.
    pub(crate) reason: &'static str,
    pub(crate) serves: Serves,
}

impl Kind {
    /// What it has to come to.
    pub(crate) fn end(self) -> End {
        let new = (0, Some("serving"), "", Serves::New);
        let failed = |reason| (1, Some("failed"), reason, Serves::Old);
        let back = |reason| (4, Some("rolled back"), reason, Serves::Old);
        let (code, verdict, reason, serves) = match self {
            Self::Rollback => (0, Some("rolled back"), "by hand", Serves::Old),
            Self::Killed(_) | Self::RollerKilled(_) | Self::Second => new,
            Self::Ships(release) => match release {
                Release::Good | Release::Configured => new,
                Release::Misconfigured => (2, None, "", Serves::Old),
                Release::Throws => failed("is not fit to serve: the app exited with code 1"),
                Release::Deaf => failed("it does not listen on 127.0.0.1:"),
                Release::Unwell => failed("it answers 500 to GET /health"),
                Release::FailsBefore => failed("exited with code 7"),
                Release::Crashes => failed("its program ended soon after it was well"),
                Release::CrashesInstance => back("was started again while it was watched"),
                Release::Leaks => back("is worse than its siblings: it holds "),
                Release::ThrowsInTwo => {
                    back("shop@2.service was not swapped: the new app exited with code 1")
                }
                Release::ConfiguredThrowsInTwo => back("shop@2.service exited with code 1"),
            },
        };
        End { code, verdict, reason, serves }
    }

    /// Whether it is about what is seen by watching.
    pub(crate) fn watches(self) -> bool {
        use Release::{Crashes, CrashesInstance, Good, Leaks};
        match self {
            Self::Ships(release) => matches!(release, Good | Crashes | CrashesInstance | Leaks),
            Self::Killed(step) => step == Step::Roll,
            Self::RollerKilled(way) => way == Way::Forward,
            Self::Rollback | Self::Second => false,
        }
    }

    /// How many requests may be lost.
    pub(crate) fn may_lose(self) -> u64 {
        if self == Self::Ships(Release::CrashesInstance) { IN_HAND } else { 0 }
    }
}

const fn deploy(
    name: &'static str,
    what: &'static str,
    promise: &'static str,
    kind: Kind,
) -> Deploy {
    Deploy { name, what, promise, kind }
}

/// What is promised where the candidate shows it already.
const UNTOUCHED: &str = "no instance is touched, exit 1";

/// What is promised where an instance shows it.
const BACK: &str = "what has it goes back, exit 4";

/// What is promised of a deploy that is killed before anything is rolled.
const CLEAN: &str =
    "what served serves on; the next deploy clears what is left, and comes out well";

/// The table.
pub(crate) const DEPLOYS: [Deploy; 25] = [
    deploy("good", "a good release", "it serves, exit 0", Kind::Ships(Release::Good)),
    deploy(
        "good-configured",
        "a good release with another configuration",
        "it serves, in units that fit it, exit 0",
        Kind::Ships(Release::Configured),
    ),
    deploy("throws", "one that throws at boot", UNTOUCHED, Kind::Ships(Release::Throws)),
    deploy("deaf", "one that never answers", UNTOUCHED, Kind::Ships(Release::Deaf)),
    deploy(
        "unwell",
        "one that answers 500 on its health path",
        UNTOUCHED,
        Kind::Ships(Release::Unwell),
    ),
    deploy(
        "crashes",
        "one that crashes 5 s after its start",
        UNTOUCHED,
        Kind::Ships(Release::Crashes),
    ),
    deploy(
        "crashes-instance",
        "the same, but only where clients ask it",
        "it loses at most what it had in hand and must not be asked twice; what has it goes back, exit 4",
        Kind::Ships(Release::CrashesInstance),
    ),
    deploy("leaks", "one that leaks 80 MB of memory a second", BACK, Kind::Ships(Release::Leaks)),
    deploy(
        "misconfigured",
        "one with a broken `romuo.toml`",
        "nothing is begun, exit 2",
        Kind::Ships(Release::Misconfigured),
    ),
    deploy(
        "throws-in-two",
        "one that throws in instance 2 only",
        BACK,
        Kind::Ships(Release::ThrowsInTwo),
    ),
    deploy(
        "throws-in-two-configured",
        "the same, with another configuration",
        "what has it goes back, and so do the units, exit 4",
        Kind::Ships(Release::ConfiguredThrowsInTwo),
    ),
    deploy(
        "fails-before",
        "one whose `deploy.before` fails",
        UNTOUCHED,
        Kind::Ships(Release::FailsBefore),
    ),
    deploy(
        "rollback",
        "a good one, and then `romuoctl rollback`",
        "the one before serves, exit 0",
        Kind::Rollback,
    ),
    deploy(
        "second",
        "`romuoctl deploy` and `rollback` while a deploy is under way",
        "both fail at once, exit 1, and say who deploys since when; the first one comes out well",
        Kind::Second,
    ),
    deploy(
        "killed-check",
        "`kill -9` while it checks a commit out, then a plain deploy",
        CLEAN,
        Kind::Killed(Step::Check),
    ),
    deploy("killed-build", "the same while it builds", CLEAN, Kind::Killed(Step::Build)),
    deploy("killed-stage", "the same while it copies", CLEAN, Kind::Killed(Step::Stage)),
    deploy("killed-rehearse", "the same while it rehearses", CLEAN, Kind::Killed(Step::Rehearse)),
    deploy("killed-before", "the same in `deploy.before`", CLEAN, Kind::Killed(Step::Before)),
    deploy(
        "killed-asked",
        "the same, and of its roll too, before that has begun",
        CLEAN,
        Kind::Killed(Step::Asked),
    ),
    deploy(
        "killed-waiting",
        "the same before its roll has begun",
        "the roll goes on in its unit to its end; the next deploy comes out well",
        Kind::Killed(Step::Waiting),
    ),
    deploy(
        "killed-roll",
        "the same while its roll watches the first instance",
        "the roll goes on; the next deploy waits for it, and comes out well",
        Kind::Killed(Step::Roll),
    ),
    deploy(
        "killed-after",
        "the same in `deploy.after`",
        "the release serves; the next deploy comes out well",
        Kind::Killed(Step::After),
    ),
    deploy(
        "killed-roller",
        "`kill -9` of its roll while that watches the first instance, then a plain deploy",
        "exit 1; the next deploy brings all to what it ships",
        Kind::RollerKilled(Way::Forward),
    ),
    deploy(
        "killed-roller-back",
        "the same while it goes back",
        "exit 1; the next deploy brings all to what it ships",
        Kind::RollerKilled(Way::Back),
    ),
];

//! What a deploy came to, for scripts.

use serde::Serialize;

use super::steps::Step;
use crate::release::Verdict;
use crate::roll::Outcome;

/// What `deploy -o json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Deployed {
    pub(super) app: String,
    /// None: it did not come to one.
    pub(super) release: Option<String>,
    /// What serves now, as far as is known.
    pub(super) serves: Option<String>,
    pub(super) verdict: Verdict,
    /// Why it failed, in a sentence.
    pub(super) reason: Option<String>,
    pub(super) steps: Vec<Step>,
    /// The roll, if it came to that.
    pub(super) roll: Option<Outcome>,
}

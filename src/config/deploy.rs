//! How a deploy goes, as validated.

use std::num::NonZeroU32;
use std::time::Duration;

/// Default of `deploy.keep`: a few to go back to. What did not change costs no space.
const KEEP: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// Default of `deploy.watch`: what crashes or grows soon after its start shows, and nobody minds the wait.
const WATCH: Duration = Duration::from_secs(10);

/// How a deploy goes. Each line is run by `sh -c` in the folder that is shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// What builds the app.
    pub build: Vec<String>,
    /// How many releases are kept besides those in use; 2 at least.
    pub keep: NonZeroU32,
    /// What is run before the roll; a failure ends the deploy, with nothing touched.
    pub before: Vec<String>,
    /// What is run after a deploy that went well.
    pub after: Vec<String>,
    /// What is run after one that failed.
    pub on_failure: Vec<String>,
    /// How long each line may take.
    pub timeout: Duration,
    /// How long a candidate of a new release has to stay well, and the first instance of it after that,
    /// before the rest is rolled; zero: neither is watched.
    pub watch: Duration,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            build: Vec::new(),
            keep: KEEP,
            before: Vec::new(),
            after: Vec::new(),
            on_failure: Vec::new(),
            timeout: Duration::from_secs(30 * 60),
            watch: WATCH,
        }
    }
}

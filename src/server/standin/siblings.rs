//! Whether another instance of the app serves, or is about to.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::BootTime;
use crate::guard::{Errored, Guard};
use crate::health::healthy_siblings;
use crate::unit::InstanceId;

/// For how long a look at the files of the crash guard holds: one costs as much as a small answer.
const FRESH: Duration = Duration::from_millis(20);

/// For how long an answer on a control socket holds. The files of the guard say it sooner; this is for one that
/// could not write its file.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// The least and the most that clients are told to wait, in seconds. The pauses get as long as an hour, but somebody
/// may mend the app before that, and start it.
const RETRY_AFTER: (u64, u64) = (1, 120);

/// The other instances of the app.
#[derive(Debug)]
pub(super) struct Siblings {
    folder: PathBuf,
    own: InstanceId,
    /// Whether one says on its control socket that it is well, and when it was asked.
    well: Option<(Instant, bool)>,
    /// Whether one serves or is on its way, by the files of the guard, and when they were read.
    seen: Cell<Option<(Instant, bool)>>,
}

impl Siblings {
    pub(super) fn new(folder: &Path, own: InstanceId) -> Self {
        Self { folder: folder.into(), own, well: None, seen: Cell::new(None) }
    }

    /// Asks them, if that is due and not known already. Until this has been done once, they count as serving.
    pub(super) async fn look(&mut self) {
        if self.seen() {
            self.well = None;
        } else if self.well.is_none_or(|(asked, _)| asked.elapsed() >= ASK_AFTER) {
            let well = healthy_siblings(&self.folder, self.own).await;
            self.well = Some((Instant::now(), !well.is_empty()));
        }
    }

    /// Whether one serves, or is about to, so that clients had better wait for it.
    pub(super) fn serve(&self) -> bool {
        self.well.is_none_or(|(_, well)| well) || self.seen()
    }

    fn seen(&self) -> bool {
        if let Some((_, seen)) = self.seen.get().filter(|(at, _)| at.elapsed() < FRESH) {
            return seen;
        }
        let now = BootTime::now();
        let seen = Guard::siblings(&self.folder, self.own).any(|(_, state)| state.may_serve(now));
        self.seen.set(Some((Instant::now(), seen)));
        seen
    }

    /// In how many seconds the next one of the app is tried.
    pub(super) fn retry_after(&self, own: Errored, now: BootTime) -> u64 {
        let others =
            Guard::siblings(&self.folder, self.own).filter_map(|(_, state)| state.stand_in());
        let next = others.map(|other| other.retry_at).fold(own.retry_at, BootTime::min);
        let (least, most) = RETRY_AFTER;
        next.since(now).as_millis().div_ceil(1000).try_into().unwrap_or(most).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::after_boot(Duration::from_secs(seconds))
    }

    async fn looked(folder: &Path) -> Siblings {
        let mut siblings = Siblings::new(folder, "1".parse().unwrap());
        siblings.look().await;
        siblings
    }

    #[tokio::test]
    async fn one_that_serves_or_comes_up_keeps_the_stand_in_from_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("2.guard"), text).unwrap();
        assert!(Siblings::new(folder.path(), "1".parse().unwrap()).serve(), "not looked yet");
        // Its own state says nothing.
        fs::write(folder.path().join("1.guard"), r#"{"crashes":0,"errored":false,"ready_at":1}"#)
            .unwrap();
        assert!(!looked(folder.path()).await.serve(), "alone");
        write(r#"{"crashes":0,"errored":false,"ready_at":1}"#);
        assert!(looked(folder.path()).await.serve());
        write(r#"{"crashes":2,"errored":false,"ready_at":null,"started":true}"#);
        assert!(looked(folder.path()).await.serve());
        write(
            r#"{"crashes":3,"errored":true,"ready_at":null,"retry_at":5,"pauses":1,"stands_in":true}"#,
        );
        assert!(!looked(folder.path()).await.serve());
        write(r#"{"crashes":3,"errored":false,"ready_at":null,"started":true,"pauses":1}"#);
        assert!(!looked(folder.path()).await.serve(), "a try that has not come up yet");
        write(r#"{"crashes":3,"errored":false,"ready_at":9,"started":true,"pauses":1}"#);
        assert!(looked(folder.path()).await.serve());
    }

    #[tokio::test]
    async fn clients_are_told_of_the_next_try_of_any_instance_but_not_to_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let siblings = looked(folder.path()).await;
        let own = Errored { crashes: 3, retry_at: at(1100) };
        assert_eq!(siblings.retry_after(own, at(1000)), 100);
        let text = r#"{"crashes":3,"errored":true,"ready_at":null,"retry_at":1006500000,"stands_in":true}"#;
        fs::write(folder.path().join("2.guard"), text).unwrap();
        assert_eq!(siblings.retry_after(own, at(1000)), 7);
        assert_eq!(siblings.retry_after(own, at(1007)), 1);
        let far = Errored { retry_at: at(9000), ..own };
        fs::remove_file(folder.path().join("2.guard")).unwrap();
        assert_eq!(siblings.retry_after(far, at(1000)), 120);
    }
}

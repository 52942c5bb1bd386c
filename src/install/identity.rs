//! The identity of an installation: a random number, by which what is left of another one of the same name is
//! told from its own.

use std::io;
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};

use super::found::Found;
use super::layout::{UNIT_MODE, identity_path};
use super::plan::{Change, Plan};
use super::stamp;
use crate::unit::AppName;

/// Its length in bytes: two of a hundred installations of a name are the same once in 10^15 times.
const LENGTH: usize = 8;

/// That of the installed app; none: it is not installed, or was by a version that gave none.
#[must_use]
pub fn identity(root: &Path, app: &AppName) -> Option<String> {
    let Ok(Found::File { bytes, .. }) = Found::at(root, &identity_path(app)) else { return None };
    Some(stamp::body(std::str::from_utf8(&bytes).ok()?)?.trim().to_owned())
}

/// Which identity an installation gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// That which is there, else a new one.
    Own,
    /// That which is there, else this one.
    Known(String),
    /// A new one: what is there is that of another app.
    Another,
}

/// Has the plan of an installation give it an identity, before anything else: an installation that is cut off
/// behind it takes nothing of another one for its own.
///
/// # Errors
/// Where the kernel has no random numbers.
pub fn identify(
    root: &Path,
    app: &AppName,
    which: Identity,
    plan: &mut Plan,
) -> io::Result<String> {
    let there = identity(root, app);
    let identity = match (&there, which) {
        (Some(there), Identity::Own | Identity::Known(_)) => return Ok(there.clone()),
        (None, Identity::Known(known)) => known,
        (None, Identity::Own) | (_, Identity::Another) => new()?,
    };
    let (path, text) = (identity_path(app), stamp::identity(app, &identity));
    let change = match there {
        None => Change::Create { path, text, mode: UNIT_MODE },
        Some(there) => {
            Change::Update { path, old: stamp::identity(app, &there), text, mode: UNIT_MODE }
        }
    };
    plan.changes.insert(0, change);
    Ok(identity)
}

fn new() -> io::Result<String> {
    let mut bytes = [0_u8; LENGTH];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(stamp::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::{apply, lock, plan_removal};

    #[test]
    fn an_installation_keeps_its_identity_and_takes_it_along() {
        let root = tempfile::tempdir().unwrap();
        let (root, app) = (root.path(), "shop".parse().unwrap());
        let mut plan = Plan::default();
        let first = identify(root, &app, Identity::Own, &mut plan).unwrap();
        assert_eq!(identity(root, &app), None, "it is only planned");
        apply(&lock(root).unwrap(), &plan).unwrap();
        assert_eq!(identity(root, &app), Some(first.clone()));
        for which in [Identity::Own, Identity::Known("a".into())] {
            let mut again = Plan::default();
            assert_eq!(identify(root, &app, which, &mut again).unwrap(), first);
            assert!(again.is_empty());
        }
        let mut taken = Plan::default();
        let second = identify(root, &app, Identity::Another, &mut taken).unwrap();
        assert_ne!(second, first);
        apply(&lock(root).unwrap(), &taken).unwrap();
        assert_eq!(identity(root, &app), Some(second.clone()));

        let removal = plan_removal(root, &app, false).unwrap();
        apply(&lock(root).unwrap(), &removal).unwrap();
        assert_eq!(identity(root, &app), None);
        assert_ne!(identify(root, &app, Identity::Own, &mut plan).unwrap(), second);
        let known = Identity::Known("a".into());
        assert_eq!(identify(root, &app, known, &mut plan).unwrap(), "a");
    }

    #[test]
    fn it_is_the_first_that_comes_and_goes() {
        let root = tempfile::tempdir().unwrap();
        let (root, app) = (root.path(), "shop".parse().unwrap());
        let other = Change::Link { path: "/a".into(), target: "/b".into() };
        let mut plan = Plan { changes: vec![other], ..Plan::default() };
        identify(root, &app, Identity::Own, &mut plan).unwrap();
        assert_eq!(plan.changes[0].path(), identity_path(&app));
        plan.changes.truncate(1);
        apply(&lock(root).unwrap(), &plan).unwrap();
        // What is left of one that was cut off is no installation's.
        let removal = plan_removal(root, &app, false).unwrap();
        assert_eq!(removal.changes[0].path(), identity_path(&app));
    }
}

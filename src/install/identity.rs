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

/// Has the plan of an installation give it an identity, where there is none: `known`, else a new one.
///
/// # Errors
/// Where the kernel has no random numbers.
pub fn identify(
    root: &Path,
    app: &AppName,
    known: Option<String>,
    plan: &mut Plan,
) -> io::Result<String> {
    if let Some(identity) = identity(root, app) {
        return Ok(identity);
    }
    let identity = known.map_or_else(new, Ok)?;
    let (path, text) = (identity_path(app), stamp::identity(app, &identity));
    plan.changes.push(Change::Create { path, text, mode: UNIT_MODE });
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
        let first = identify(root, &app, None, &mut plan).unwrap();
        assert_eq!(identity(root, &app), None, "it is only planned");
        apply(&lock(root).unwrap(), &plan).unwrap();
        assert_eq!(identity(root, &app), Some(first.clone()));
        let mut again = Plan::default();
        assert_eq!(identify(root, &app, None, &mut again).unwrap(), first);
        assert!(again.is_empty());

        let removal = plan_removal(root, &app, false).unwrap();
        apply(&lock(root).unwrap(), &removal).unwrap();
        assert_eq!(identity(root, &app), None);
        assert_ne!(identify(root, &app, None, &mut plan).unwrap(), first);
        assert_eq!(identify(root, &app, Some("a".into()), &mut plan).unwrap(), "a");
    }
}

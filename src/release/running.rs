//! What an instance runs: the release that it is pinned to.

use std::path::Path;

use super::id::ReleaseId;
use super::store::Store;
use crate::config::{Settings, detect_version};
use crate::unit::InstanceId;

/// The settings of an instance. An app whose folder is `/var/lib/romuo/NAME/current`, or lies below it,
/// is run by each instance from the release that this instance is pinned to; one that is not pinned
/// yet runs the current one.
#[must_use]
pub fn of_instance(settings: Settings, instance: InstanceId) -> Settings {
    of_instance_in(&Store::new(Path::new("/"), &settings.name), settings, instance)
}

fn of_instance_in(store: &Store, settings: Settings, instance: InstanceId) -> Settings {
    let pin = store.pin_path(instance);
    if pin.is_dir() { settings.moved(&store.current_path(), &pin) } else { settings }
}

/// What lies in the folder that an app runs in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The release that the folder belongs to; none: to no release.
    pub release: Option<ReleaseId>,
    /// The version that a manifest in it has; none: not known.
    pub version: Option<String>,
}

impl Contents {
    /// Those of a folder at this moment.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self { release: of_folder(folder), version: detect_version(folder) }
    }
}

/// The release that a folder belongs to, seen through the links that lead there; none: it belongs to no
/// release.
#[must_use]
pub fn of_folder(folder: &Path) -> Option<ReleaseId> {
    let real = folder.canonicalize().ok()?;
    let lies_in = |folder: &Path| folder.parent().is_some_and(|above| above.ends_with("releases"));
    let release = real.ancestors().find(|folder| lies_in(folder))?;
    release.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::unit::AppName;

    #[test]
    fn each_instance_runs_its_own_release_and_one_without_a_pin_the_current_one() {
        let root = tempfile::tempdir().unwrap();
        let app: AppName = "shop".parse().unwrap();
        let store = Store::new(root.path(), &app);
        let ids = ["20261126T001100Z-abc1234", "20261126T002200Z"].map(|id| id.parse().unwrap());
        for id in &ids {
            fs::create_dir_all(store.path(id).join("dist")).unwrap();
        }
        let [one, two] = ["1", "2"].map(|id| id.parse::<InstanceId>().unwrap());
        store.set_current(&ids[1]).unwrap();
        store.pin(one, &ids[0]).unwrap();

        let mut settings = Settings::new(app, store.current_path());
        settings.site = Some(crate::config::StaticSite {
            root: store.current_path().join("dist"),
            fallback: None,
        });
        let folder = |instance| {
            let settings = of_instance_in(&store, settings.clone(), instance);
            assert!(settings.directory.is_dir() && !settings.directory.ends_with("/"));
            settings.site.unwrap().root
        };
        assert_eq!(of_folder(&folder(one)), Some(ids[0].clone()));
        assert_eq!(of_folder(&folder(two)), Some(ids[1].clone()));
        // Another pin is another folder behind the same path.
        let path = folder(one);
        store.pin(one, &ids[1]).unwrap();
        assert_eq!((folder(one), of_folder(&path)), (path.clone(), Some(ids[1].clone())));
        assert_eq!(of_folder(root.path()), None);
    }
}

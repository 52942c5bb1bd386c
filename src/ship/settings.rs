//! The settings of an app in its folder -> those of the same app in a release.

use std::path::{Path, PathBuf};

use super::error::ShipError;
use super::source::Checkout;
use crate::config::Settings;

/// How an app is run from a release.
#[derive(Debug, Clone, PartialEq)]
pub struct ForRelease {
    /// Its settings.
    pub settings: Settings,
    /// Links that the release gets: where in it, and what they lead to. Behind them lies what the app
    /// writes and its `env_file`, in the one place that all releases share.
    pub links: Vec<(PathBuf, PathBuf)>,
}

/// What the settings of a checkout become once it is a release: whatever lies in the folder that is shipped
/// lies below `current` then. Data stays where it is: `env_file` and `writable` name the same place below
/// the folder that the app has at home. Paths that name that folder outright are taken as the same.
///
/// # Errors
/// Where the app runs elsewhere, or `writable` has the folder that it runs in.
pub fn for_release(
    settings: Settings,
    checkout: &Checkout,
    current: &Path,
) -> Result<ForRelease, ShipError> {
    let Checkout { folder, home, .. } = checkout;
    // From here on all of it lies at home, wherever it was checked out.
    let mut settings = settings.moved(folder, home);
    if !settings.directory.starts_with(home) {
        let (directory, folder) = (settings.directory, folder.clone());
        return Err(ShipError::Elsewhere { directory, folder });
    }
    refuse_writable(&settings, home)?;
    let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
    let data = settings.program.as_ref().map(|program| {
        let mut writable = program.writable.clone();
        writable.sort();
        (writable, program.writable.clone(), program.env_file.clone())
    });
    if let Some((sorted, _, _)) = &data {
        for path in sorted {
            let Ok(inside) = path.strip_prefix(home) else { continue };
            // What lies below a link is reached by it. Sorted, a folder stands before what is in it.
            if !links.iter().any(|(_, target)| path.starts_with(target)) {
                links.push((inside.into(), path.clone()));
            }
        }
    }
    // Secrets are not copied into each release; an app may look there itself.
    if let Some((_, _, Some(path))) = &data
        && let Ok(inside) = path.strip_prefix(home)
        && !links.iter().any(|(_, target)| path.starts_with(target))
    {
        links.push((inside.into(), path.clone()));
    }
    settings = settings.moved(home, current);
    if let (Some(program), Some((_, writable, env_file))) = (&mut settings.program, data) {
        (program.writable, program.env_file) = (writable, env_file);
    }
    Ok(ForRelease { settings, links })
}

/// Refuses an app that writes to where it lies itself, below its folder `home`: no deploy could ship it, so who
/// installs it is to know.
///
/// # Errors
/// Where `writable` has the folder that the app runs in, or one between that and `home`.
pub fn refuse_writable(settings: &Settings, home: &Path) -> Result<(), ShipError> {
    let all = settings.program.iter().flat_map(|program| &program.writable);
    let mut holding =
        all.filter(|path| path.starts_with(home) && settings.directory.starts_with(path));
    holding.next().map_or(Ok(()), |path| Err(ShipError::Writable(path.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, parse};
    use crate::release::Source;

    const CURRENT: &str = "/var/lib/romuo/shop/current";

    fn checkout(folder: &str) -> Checkout {
        Checkout::plain(folder.into(), "/home/al/shop".into(), Source::Folder)
    }

    fn shipped(text: &str, folder: &str) -> Result<ForRelease, ShipError> {
        let settings = parse(text, &Path::new(folder).join("romuo.toml")).unwrap();
        for_release(settings, &checkout(folder), Path::new(CURRENT))
    }

    fn program(text: &str, folder: &str) -> (Program, Vec<(PathBuf, PathBuf)>) {
        let ForRelease { settings, links } = shipped(text, folder).unwrap();
        (settings.program.unwrap(), links)
    }

    #[test]
    fn what_is_shipped_lies_in_the_release_and_data_where_it_was() {
        let text = r#"
            command = ["/home/al/shop/bin/run", "--data", "./x", "/opt/node"]
            directory = "app"
            env_file = ".env"
            writable = ["uploads", "../data", "/var/spool/shop"]
            readable = ["/home/al/fonts", "lib"]
        "#;
        for folder in ["/home/al/shop", "/var/lib/romuo/shop/work/1/tree"] {
            let ForRelease { settings, links } = shipped(text, folder).unwrap();
            assert_eq!(settings.directory, Path::new(CURRENT).join("app"));
            let program = settings.program.unwrap();
            let run = format!("{CURRENT}/bin/run");
            assert_eq!(program.command, [&run, "--data", "./x", "/opt/node"]);
            assert_eq!(program.env_file.unwrap(), Path::new("/home/al/shop/app/.env"));
            let data = ["/home/al/shop/app/uploads", "/home/al/shop/data", "/var/spool/shop"];
            assert_eq!(program.writable, data.map(PathBuf::from));
            let lib = format!("{CURRENT}/app/lib");
            assert_eq!(program.readable, ["/home/al/fonts", &lib].map(PathBuf::from));
            let link = |path: &str| (path.into(), Path::new("/home/al/shop").join(path));
            assert_eq!(links, [link("app/uploads"), link("data"), link("app/.env")]);
        }
    }

    #[test]
    fn a_site_is_served_from_the_release() {
        let ForRelease { settings, links } = shipped("static.root = \"dist\"", "/w/tree").unwrap();
        assert_eq!(settings.directory, Path::new(CURRENT));
        assert_eq!(settings.site.unwrap().root, Path::new(CURRENT).join("dist"));
        assert!(links.is_empty());
    }

    #[test]
    fn one_link_does_for_what_lies_below_it_and_for_the_same_path_twice() {
        let text = "command = \"x\"\nwritable = [\"data/a\", \"data\", \"data\", \"data-2\"]";
        let (program, links) = program(text, "/home/al/shop");
        assert_eq!(program.writable.len(), 4);
        let names: Vec<_> = links.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["data", "data-2"]);
    }

    #[test]
    fn variables_that_lie_in_the_data_need_no_link_of_their_own() {
        let text = "command = \"x\"\nwritable = [\"data\"]\nenv_file = \"data/.env\"";
        let (program, links) = program(text, "/home/al/shop");
        assert_eq!(program.env_file.unwrap(), Path::new("/home/al/shop/data/.env"));
        assert_eq!(links.len(), 1);
    }

    #[test]
    fn a_release_cannot_be_written_to() {
        for (directory, writable) in [(".", "."), ("app", "."), ("app", ".."), ("a/b", "../../a")] {
            let text = format!(
                "command = \"x\"\ndirectory = \"{directory}\"\nwritable = [\"{writable}\"]"
            );
            let error = shipped(&text, "/w/tree").unwrap_err();
            assert!(matches!(error, ShipError::Writable(_)), "{error}");
        }
        // What is above it is not part of it.
        let (program, links) =
            program("command = \"x\"\nwritable = [\"/home/al\"]", "/home/al/shop");
        assert_eq!((program.writable, links), (vec![PathBuf::from("/home/al")], Vec::new()));
    }

    #[test]
    fn an_app_that_runs_elsewhere_is_not_in_the_release() {
        let error = shipped("directory = \"/opt/other\"", "/w/tree").unwrap_err();
        assert!(matches!(error, ShipError::Elsewhere { .. }), "{error}");
    }
}

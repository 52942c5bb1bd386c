//! Settings as the installed file has them: with the program that really runs, and what it needs of
//! this machine spelled out.
//!
//! A unit knows nothing of the shell of the person who installs it, so what depends on that is settled
//! here, once, and can be read in `/etc/romuo/NAME.toml` afterwards.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::config::{Mode, Network, Program, Settings, format_duration};
use crate::program::{self, ProgramError, is_below_home};

/// `PATH` of a unit (systemd.exec(5), "Environment variables"); what the app needs comes before it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Settings of which nothing is left to be found out, and what a person should know of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// What the instances may see and do beyond the least, and why: a sentence each.
    pub opened: Vec<String>,
    /// What else there is to know: a sentence each.
    pub notes: Vec<String>,
    /// What will keep the instances from starting: a sentence each.
    pub obstacles: Vec<String>,
}

impl Resolved {
    /// Settings of which there is nothing to be found out.
    fn plain(settings: Settings) -> Self {
        Self { settings, opened: Vec::new(), notes: Vec::new(), obstacles: Vec::new() }
    }
}

/// Resolves the app's command as the person would run it who has `search` as `PATH`.
///
/// # Errors
/// Where there is no such program.
pub fn resolve(mut settings: Settings, search: &OsStr) -> Result<Resolved, ProgramError> {
    let Some(mut program) = settings.program.take() else {
        return Ok(Resolved::plain(settings));
    };
    let directory = &settings.directory;
    let found = program::find(&program.command, directory, search)?;
    program.command = found.command;
    for (name, value) in found.environment {
        program.environment.entry(name).or_insert(value);
    }
    if let Some(path) = path(&found.path) {
        program.environment.entry("PATH".into()).or_insert(path);
    }
    let links = [Some(directory), program.env_file.as_ref()];
    let behind = links.into_iter().flatten().filter_map(|path| behind(path));
    for path in found.runtime.into_iter().chain(behind) {
        let is_shown = |shown: &PathBuf| path.starts_with(shown);
        if !is_shown(directory) && !program.readable.iter().any(is_shown) {
            program.readable.push(path);
        }
    }
    let mut notes = found.notes;
    notes.extend(limits_of_the_mode(&settings, &program));
    let Rights { notes: more, obstacles } = rights(&settings, &program);
    notes.extend(more);
    let opened = opened(&settings, &program);
    settings.program = Some(program);
    Ok(Resolved { settings, opened, notes, obstacles })
}

/// The settings as they are, for the machine below `root`: what would be found there nobody knows here,
/// nor who its users are.
///
/// # Errors
/// Where the command does not name its program by an absolute path.
pub fn spelled_out(settings: Settings, root: &Path) -> Result<Resolved, ProgramError> {
    let Some(program) = &settings.program else {
        return Ok(Resolved::plain(settings));
    };
    let (word, arguments) = program.command.split_first().ok_or(ProgramError::Empty)?;
    let inside = Path::new(word).strip_prefix("/").map(|path| root.join(path));
    // `command = "/usr/bin/node server.js"` is a text for the shell, unless a file is called so.
    let is_text = arguments.is_empty() && word.contains(char::is_whitespace);
    if !inside.is_ok_and(|file| !is_text || file.exists()) {
        return Err(ProgramError::Elsewhere { word: word.clone() });
    }
    let opened = opened(&settings, program);
    let notes = limits_of_the_mode(&settings, program);
    Ok(Resolved { opened, notes, ..Resolved::plain(settings) })
}

/// `PATH` with these folders first; none: it has them already.
fn path(first: &[PathBuf]) -> Option<String> {
    let usual: Vec<&Path> = PATH.split(':').map(Path::new).collect();
    let more = first.iter().filter(|folder| !usual.contains(&folder.as_path()));
    let mut all: Vec<String> = more.map(|folder| folder.display().to_string()).collect();
    all.push(PATH.into());
    (all.len() > 1).then(|| all.join(":"))
}

/// The place below a home that `path` really is, where it is a link to one.
fn behind(path: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    (real != path && is_below_home(&real)).then_some(real)
}

/// What the instances may do beyond the least.
fn opened(settings: &Settings, program: &Program) -> Vec<String> {
    let mut opened = Vec::new();
    for path in &program.writable {
        opened.push(format!("may write to {}, because `writable` names it", path.display()));
    }
    if is_below_home(&settings.directory) {
        let path = settings.directory.display();
        opened.push(format!("sees {path} below a home, read-only, because the app lies there"));
    }
    let file = program.env_file.iter().filter(|file| {
        !file.starts_with(&settings.directory)
            && !program.readable.iter().any(|shown| file.starts_with(shown))
    });
    for path in program.readable.iter().chain(file).filter(|path| is_below_home(path)) {
        let path = path.display();
        opened.push(format!("sees {path} below a home, read-only, because the app runs with it"));
    }
    if settings.network == Network::Host {
        opened.push(
            "uses the network of the host, because most apps ask others for something; \
             `network = \"none\"` closes it"
                .into(),
        );
    }
    opened.push(
        "may make memory executable, because just-in-time compilers (Node, Java, PHP) have to"
            .into(),
    );
    opened
}

/// What an app gives up that takes the sockets itself.
fn limits_of_the_mode(settings: &Settings, program: &Program) -> Vec<String> {
    if program.mode != Mode::Inherit {
        return Vec::new();
    }
    let path = &settings.health.path;
    let stop = format_duration(settings.limits.stop_timeout);
    vec![
        format!(
            "mode = \"inherit\": the app takes the sockets itself, so on SIGTERM it has to finish its \
             requests itself, within {stop}; one that ends at once loses what it has in hand, at each \
             reload"
        ),
        format!(
            "mode = \"inherit\": GET {path} is asked of each instance when it starts, and not again: a \
             crash is noticed, a hang is not"
        ),
        "mode = \"inherit\": limits.recycle and limits.max_age do not apply: at its memory limit the kernel \
         ends an instance with what it has in hand; mode = \"front\" has none of these limits"
            .into(),
    ]
}

/// Who the app runs as: what the kernel judges its access by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    id: u32,
    groups: Vec<u32>,
}

impl Person {
    /// The user `name`, from the texts of passwd(5) and group(5).
    fn of(name: &str, users: &str, groups: &str) -> Option<Self> {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map_while(|number| number.parse().ok());
        let (id, primary) = (numbers.next()?, numbers.next()?);
        let member = groups.lines().filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let id = fields.next()?.parse().ok()?;
            fields.next()?.split(',').any(|member| member == name).then_some(id)
        });
        Some(Self { id, groups: std::iter::once(primary).chain(member).collect() })
    }
}

/// Whether the mode of a file allows `wanted` (of rwx) to `person`; none: to one whom nothing belongs
/// to, as a dynamic user. Root is one like all others: in a unit it has no capabilities.
fn may(person: Option<&Person>, file: &Metadata, wanted: u32) -> bool {
    let class = match person {
        Some(person) if person.id == file.uid() => 6,
        Some(person) if person.groups.contains(&file.gid()) => 3,
        _ => 0,
    };
    file.permissions().mode() >> class & wanted == wanted
}

/// Which part of the path of a program keeps the instances from it, to whom nothing belongs; none: they can start
/// it. A user of the machine may have more rights.
#[must_use]
pub fn out_of_reach(settings: &Settings, program: &Path) -> Option<PathBuf> {
    if settings.user.is_some() {
        return None;
    }
    let closed = |part: &&Path| fs::metadata(part).is_ok_and(|found| !may(None, &found, 0o1));
    program.ancestors().filter(closed).last().map(Path::to_path_buf)
}

/// What the rights of files will keep the app from: something, or its start.
#[derive(Debug)]
struct Rights {
    notes: Vec<String>,
    obstacles: Vec<String>,
}

fn rights(settings: &Settings, program: &Program) -> Rights {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (users, groups) = (read("/etc/passwd"), read("/etc/group"));
    let (mut notes, mut obstacles) = (Vec::new(), Vec::new());
    let person = settings.user.as_ref().and_then(|name| {
        let name = name.to_string();
        let person = Person::of(&name, &users, &groups);
        if person.is_none() {
            obstacles
                .push(format!("there is no user {name} in /etc/passwd: `useradd --system {name}`"));
        }
        person
    });
    let person = person.as_ref();
    let owner_of = |file: &Metadata| name_of(&users, file.uid());
    if let Ok(folder) = fs::metadata(&settings.directory)
        && !may(person, &folder, 0o5)
    {
        let path = settings.directory.display();
        let hint = hint(settings, &owner_of(&folder), &format!("`chmod o+rx {path}`"));
        obstacles.push(format!("{path} is not readable for the user that the app runs as: {hint}"));
    }
    for path in &program.writable {
        let shown = path.display();
        match fs::metadata(path) {
            Err(_) => {
                obstacles.push(format!("{shown} of `writable` is not there: `mkdir -p {shown}`"));
            }
            Ok(file) if may(person, &file, if file.is_dir() { 0o3 } else { 0o2 }) => {}
            Ok(file) => {
                let owner = owner_of(&file);
                let chown = match &settings.user {
                    Some(user) => format!("`chown {user} {shown}`"),
                    None => "`chown` it to the `user` that you choose".into(),
                };
                let hint = hint(settings, &owner, &chown);
                notes.push(format!(
                    "{shown} belongs to {owner}, and the user that the app runs as may not write \
                     there: {hint}"
                ));
            }
        }
    }
    Rights { notes, obstacles }
}

/// What helps against missing rights: `otherwise`, or to run as the owner, unless that is root, which
/// no app should run as, or the user already.
fn hint(settings: &Settings, owner: &str, otherwise: &str) -> String {
    let is_user = settings.user.as_ref().is_some_and(|user| user.to_string() == owner);
    if owner == "root" || is_user {
        otherwise.into()
    } else {
        format!("`user = \"{owner}\"`, or {otherwise}")
    }
}

/// A user's name; without one, the number.
fn name_of(users: &str, id: u32) -> String {
    Account::in_text(users, id).map_or_else(|| id.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    /// An app in a folder of its own, whose program is a shell script.
    fn app(extra: &str) -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("serve");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let text = format!("command = [\"./serve\", \"--port\", \"{{port}}\"]\n{extra}");
        let settings = parse(&text, &folder.path().join("romuo.toml")).unwrap();
        (folder, settings)
    }

    #[test]
    fn the_command_is_spelled_out_and_resolving_it_again_changes_nothing() {
        let (folder, settings) = app("");
        let resolved = resolve(settings, OsStr::new("/usr/bin:/bin")).unwrap();
        let program = resolved.settings.program.clone().unwrap();
        assert!(program.command.iter().all(|word| !word.starts_with("./")), "{program:?}");
        assert!(Path::new(&program.command[0]).is_absolute(), "{program:?}");
        assert_eq!(program.command[program.command.len() - 1], "{port}");
        assert!(program.environment.get("PATH").is_none_or(|path| path.ends_with(PATH)));
        let again = resolve(resolved.settings.clone(), OsStr::new("/usr/bin:/bin")).unwrap();
        assert_eq!(again.settings, resolved.settings);
        drop(folder);
    }

    #[test]
    fn what_is_opened_is_said() {
        let (_folder, settings) = app("network = \"none\"\nwritable = [\"/srv/uploads\"]\n");
        let opened = resolve(settings, OsStr::new("/bin")).unwrap().opened;
        assert_eq!(opened.len(), 2, "{opened:?}");
        assert!(opened[0].starts_with("may write to /srv/uploads"), "{opened:?}");
        let (_folder, settings) = app("readable = [\"/home/x/fonts\"]");
        let opened = resolve(settings, OsStr::new("/bin")).unwrap().opened;
        assert!(opened[0].starts_with("sees /home/x/fonts below a home"), "{opened:?}");
        assert!(opened[1].starts_with("uses the network of the host"), "{opened:?}");
    }

    #[test]
    fn rights_that_will_be_missing_are_said_beforehand() {
        let (folder, settings) = app("writable = [\"uploads\", \"data\"]\nuser = \"nobody-here\"");
        fs::create_dir(folder.path().join("data")).unwrap();
        let Resolved { notes, obstacles, .. } = resolve(settings, OsStr::new("/bin")).unwrap();
        let notes = [notes, obstacles].concat().join("\n");
        for part in [
            "there is no user nobody-here",
            "uploads of `writable` is not there",
            "data belongs to ",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
    }

    #[test]
    fn what_an_app_gives_up_that_takes_the_sockets_is_said() {
        let limits = |text| {
            let (_folder, settings) = app(text);
            resolve(settings, OsStr::new("/bin")).unwrap().notes.join("\n")
        };
        let notes = limits("mode = \"inherit\"");
        for part in
            ["on SIGTERM it has to finish", "a hang is not", "limits.recycle and limits.max_age"]
        {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        assert!(!limits("").contains("limits.recycle"));
    }

    #[test]
    fn an_app_without_a_program_stays_as_it_is() {
        let settings = Settings::new("x".parse().unwrap(), "/".into());
        let resolved = resolve(settings.clone(), OsStr::new("")).unwrap();
        assert_eq!((resolved.settings, resolved.opened.len()), (settings, 0));
    }

    #[test]
    fn a_path_is_set_only_where_the_usual_one_does_not_do() {
        assert_eq!(path(&["/usr/bin".into()]), None);
        let nvm = path(&["/root/.nvm/bin".into(), "/bin".into()]).unwrap();
        assert_eq!(nvm, format!("/root/.nvm/bin:{PATH}"));
    }

    #[test]
    fn users_are_known_by_name_and_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/false\n";
        let groups = "www:x:33:\nbackup:x:34:ann,www\nmail:x:8:ann\n";
        let www = Person { id: 33, groups: vec![33, 34] };
        assert_eq!(Person::of("www", users, groups), Some(www));
        assert_eq!(Person::of("ann", users, groups), None);
        assert_eq!(name_of(users, 33), "www");
        assert_eq!(name_of(users, 7), "7");
    }

    #[test]
    fn resolving_again_changes_nothing_for_yarns_archives() {
        let (folder, mut settings) = app("");
        fs::write(folder.path().join(".pnp.cjs"), "").unwrap();
        let node = folder.path().join("node");
        fs::copy("/bin/true", &node).unwrap();
        if let Some(program) = &mut settings.program {
            program.command = vec![node.display().to_string(), "server.js".into()];
        }
        let once = resolve(settings, OsStr::new("/bin")).unwrap().settings;
        let twice = resolve(once.clone(), OsStr::new("/bin")).unwrap().settings;
        assert_eq!(twice, once, "{:?}", twice.program);
    }

    #[test]
    fn the_installed_text_says_the_same() {
        let (folder, settings) = app("writable = [\"up\"]\nreadable = [\"/home/x/fonts\"]");
        let mut once = resolve(settings, OsStr::new("/bin")).unwrap().settings;
        if let Some(program) = &mut once.program {
            program.environment.insert("PATH".into(), format!("/root/.nvm/bin:{PATH}"));
        }
        let text = crate::config::to_toml(&once);
        let read = parse(&text, &folder.path().join("romuo.toml")).unwrap();
        assert_eq!(read, once, "{text}");
    }

    #[test]
    fn a_file_is_opened_to_whom_its_mode_opens_it() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            fs::metadata(folder.path()).unwrap()
        };
        let first = set(0o700);
        let (uid, gid) = (first.uid(), first.gid());
        let owner = Person { id: uid, groups: vec![] };
        let member = Person { id: uid + 1, groups: vec![gid + 1, gid] };
        let other = Person { id: uid + 1, groups: vec![gid + 1] };
        for (mode, expected) in [
            (0o700, [true, false, false, false]),
            (0o750, [true, true, false, false]),
            (0o705, [true, false, true, true]),
            (0o077, [false, true, true, true]),
        ] {
            let file = set(mode);
            let who = [Some(&owner), Some(&member), Some(&other), None];
            assert_eq!(who.map(|person| may(person, &file, 0o5)), expected, "{mode:o}");
        }
        set(0o700);
    }

    #[test]
    fn nobody_is_told_to_run_an_app_as_root() {
        let mut settings = Settings::new("x".parse().unwrap(), "/".into());
        assert_eq!(hint(&settings, "root", "`chown`"), "`chown`");
        assert_eq!(hint(&settings, "anna", "`chown`"), "`user = \"anna\"`, or `chown`");
        settings.user = Some("anna".parse().unwrap());
        assert_eq!(hint(&settings, "anna", "`chown`"), "`chown`");
    }

    #[test]
    fn only_what_lies_below_a_home_is_said_to() {
        let extra = "readable = [\"/opt/fonts\"]\nenv_file = \"/home/x/app.env\"";
        let (_folder, settings) = app(extra);
        let opened = resolve(settings, OsStr::new("/bin")).unwrap().opened.join("\n");
        assert!(opened.contains("sees /home/x/app.env below a home"), "{opened}");
        assert!(!opened.contains("/opt/fonts"), "{opened}");
    }

    #[test]
    fn for_another_machine_only_a_spelled_out_command_will_do() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("my app"), "").unwrap();
        let try_it = |command: &[&str]| {
            let (_folder, mut settings) = app("");
            if let Some(program) = &mut settings.program {
                program.command = command.iter().map(ToString::to_string).collect();
            }
            spelled_out(settings.clone(), root.path()).map(|found| {
                assert_eq!(found.settings, settings);
                assert!(!found.opened.is_empty());
            })
        };
        for good in [&["/opt/x/serve"][..], &["/opt/x y/serve", "{port}"], &["/my app"]] {
            try_it(good).unwrap();
        }
        for bad in [&["node", "server.js"][..], &["./serve"], &["/usr/bin/node server.js"]] {
            assert!(matches!(try_it(bad), Err(ProgramError::Elsewhere { .. })), "{bad:?}");
        }
    }
}

//! A line that PM2 runs on the server after it has checked out -> a line of `deploy.build`.
//!
//! Such a line brings the new code, builds it and has PM2 reload, in the folder that serves. Here the code is
//! there, the folder is another one, and the deploy rolls: what fetches and what reloads drops out, and the
//! folder that serves becomes the one that is built. What would still act on anything that is live is left out.

use std::path::{Path, PathBuf};

/// Verbs of PM2 that bring a release into service: `romuoctl deploy` does that itself.
const ROLLS: [&str; 9] = [
    "start",
    "restart",
    "reload",
    "gracefulReload",
    "startOrRestart",
    "startOrReload",
    "startOrGracefulReload",
    "save",
    "update",
];

/// Verbs of git that bring other code: `romuoctl deploy --git` checks it out.
const FETCHES: [&str; 10] = [
    "pull",
    "fetch",
    "reset",
    "checkout",
    "switch",
    "clone",
    "submodule",
    "clean",
    "merge",
    "rebase",
];

/// Verbs of git that change nothing, or bring what a checkout lacks.
const ASKS: [&str; 5] = ["rev-parse", "describe", "log", "show", "lfs"];

/// Folders in which programs lie: to run one of there touches nothing.
const PROGRAMS: [&str; 5] = ["/bin/", "/sbin/", "/usr/", "/opt/", "/snap/"];

/// Files that name nothing: to read or write them touches nothing.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/stderr"];

/// What a line comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hook {
    /// What builds; empty: nothing does.
    pub(super) build: String,
    /// What a deploy does itself, and so drops out.
    pub(super) dropped: Vec<String>,
    /// What is left out because it would act on what serves, or cannot be understood.
    pub(super) left_out: Vec<String>,
}

/// Understands a line. `folders` are those in which the app lives with PM2. None: it cannot be told where its
/// parts begin and end.
pub(super) fn understand(text: &str, folders: &[PathBuf]) -> Option<Hook> {
    // What PM2 sets for its hooks is a folder that is not there.
    if text.contains("SHARED") {
        return None;
    }
    // A quote or another operator may reach over what would be taken out.
    if text.contains(['"', '\'', '`', '|', ';', '(', ')', '{', '}', '\\', '#', '$']) {
        let step = Step::of(text, folders);
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_harmless = matches!(step, Step::Builds(same) if same == plain);
        let touches = |verb: &&str| words(text).any(|word| word == *verb);
        let is_whole = is_harmless && !["pm2", "git", "sudo", "cd"].iter().any(touches);
        let hook = Hook { build: text.trim().to_owned(), ..Hook::default() };
        return is_whole.then_some(hook);
    }
    let (mut hook, mut build) = (Hook::default(), Vec::new());
    for step in text.split("&&").map(str::trim).filter(|step| !step.is_empty()) {
        match Step::of(step, folders) {
            Step::Builds(line) => build.push(line),
            Step::IsDone => hook.dropped.push(step.to_owned()),
            Step::IsUnknown => hook.left_out.push(step.to_owned()),
        }
    }
    hook.build = build.join(" && ");
    Some(hook)
}

/// One command of a line.
enum Step {
    /// It builds, as this line.
    Builds(String),
    /// A deploy does it.
    IsDone,
    /// It would act on what serves, or nobody knows what it does.
    IsUnknown,
}

impl Step {
    fn of(text: &str, folders: &[PathBuf]) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let plain: Vec<&str> = words.iter().copied().skip_while(|word| *word == "npx").collect();
        match plain.as_slice() {
            ["pm2", verb, ..] if ROLLS.contains(verb) => return Self::IsDone,
            ["git", verb, ..] if FETCHES.contains(verb) => return Self::IsDone,
            ["git", verb, ..] if ASKS.contains(verb) => {}
            ["cd", folder] if is_home(folder, folders) => return Self::IsDone,
            ["cd", folder] if folder.starts_with(['/', '~', '-']) || folder.contains("..") => {
                return Self::IsUnknown;
            }
            // Root builds nothing, and what a shell reads is that of whoever logs in.
            [
                "pm2" | "git" | "sudo" | "su" | "doas" | "source" | "." | "systemctl" | "service",
                ..,
            ] => {
                return Self::IsUnknown;
            }
            _ => {}
        }
        let mut line = Vec::new();
        for (at, word) in words.iter().enumerate() {
            match relative(word, folders) {
                Some(word) => line.push(word),
                None if at == 0 && PROGRAMS.iter().any(|folder| word.starts_with(folder)) => {
                    line.push((*word).to_owned());
                }
                None => return Self::IsUnknown,
            }
        }
        if line.iter().any(|word| self::words(word).any(|word| word == "pm2")) {
            return Self::IsUnknown;
        }
        Self::Builds(line.join(" "))
    }
}

/// A word as it is in a folder that is built anywhere; none: it names a place outside of it.
fn relative(word: &str, folders: &[PathBuf]) -> Option<String> {
    let (before, path) = match word.split_once('=') {
        Some((name, value)) => (format!("{name}="), value),
        None => (String::new(), word),
    };
    if !path.starts_with(['/', '~']) {
        // What is above may be anything.
        return (!path.split('/').any(|part| part == "..")).then(|| word.to_owned());
    }
    if DEVICES.contains(&path) {
        return Some(word.to_owned());
    }
    let mut inside = folders.iter().filter_map(|folder| Path::new(path).strip_prefix(folder).ok());
    let shortest = inside.by_ref().min_by_key(|inside| inside.as_os_str().len())?;
    let inside = shortest.to_str()?;
    Some(if inside.is_empty() { format!("{before}.") } else { format!("{before}./{inside}") })
}

fn is_home(path: &str, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| Path::new(path) == folder)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(line: &str) -> Option<Hook> {
        understand(line, &["/srv/app/source".into(), "/srv/app".into(), "/srv/app/current".into()])
    }

    #[test]
    fn what_builds_is_kept_and_what_a_deploy_does_itself_is_not() {
        for (line, build) in [
            ("npm ci && npm run build", "npm ci && npm run build"),
            ("npm install && pm2 reload ecosystem.config.js --env production", "npm install"),
            ("cd web && npm ci && npx pm2 startOrReload x.json && pm2 save", "cd web && npm ci"),
            ("pm2 restart all", ""),
            ("cd /srv/app && git pull && npm ci && pm2 reload app", "npm ci"),
            ("cd /srv/app/current/ && git reset --hard origin/main && npm i", "npm i"),
            ("npm --prefix /srv/app ci", "npm --prefix . ci"),
            ("npm --prefix=/srv/app/web ci", "npm --prefix=./web ci"),
            ("/srv/app/bin/build --quiet > /dev/null", "./bin/build --quiet > /dev/null"),
            ("/usr/bin/npm ci", "/usr/bin/npm ci"),
            ("NODE_ENV=production npm run build", "NODE_ENV=production npm run build"),
            // It is one step, whatever is in it.
            ("npm i; echo 'a && b'", "npm i; echo 'a && b'"),
        ] {
            let hook = hook(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((&*hook.build, hook.left_out.len()), (build, 0), "{line}");
        }
    }

    #[test]
    fn what_acts_on_what_serves_is_left_out_and_named() {
        for (line, build, left_out) in [
            ("npm ci && cp -r dist /var/www/html", "npm ci", "cp -r dist /var/www/html"),
            ("npm ci && sudo systemctl reload nginx", "npm ci", "sudo systemctl reload nginx"),
            ("source ~/.nvm/nvm.sh && npm ci", "npm ci", "source ~/.nvm/nvm.sh"),
            ("cd /srv/other && npm ci", "npm ci", "cd /srv/other"),
            ("npm ci && rm -rf ../cache", "npm ci", "rm -rf ../cache"),
            // Nothing stashes what the folder of a deploy never has.
            ("npm i && git stash && pm2 reload a", "npm i", "git stash"),
            ("npm ci && pm2 describe app", "npm ci", "pm2 describe app"),
            ("npm ci && /opt/pm2/bin/pm2 reload all", "npm ci", "/opt/pm2/bin/pm2 reload all"),
            ("npm run pm2-free", "", "npm run pm2-free"),
        ] {
            let hook = hook(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (&*hook.build, hook.left_out.join(", ")),
                (build, left_out.into()),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_taken_apart_is_left_to_the_person() {
        for line in [
            "npm ci; pm2 reload all",
            "sh -c 'npm ci && pm2 reload all'",
            "npm ci || pm2 reload all",
            "(cd /srv/app && npm ci)",
            "cd \"/srv/app\"; git pull; npm ci",
            "ln -s $SHARED/.env .env",
            "npm ci; cp -r dist /var/www",
        ] {
            assert_eq!(hook(line), None, "{line}");
        }
    }
}

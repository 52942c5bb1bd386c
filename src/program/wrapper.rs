//! Commands that only run another one: seen through where it can be known what that is.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::ProgramError;
use super::package::Package;
use super::search::Place;
use super::shell::{self, Complex};
use crate::config::is_variable_name;

/// How many wrappers may lie inside each other: `npm start` -> `npm run serve` -> `env ...` is
/// common, a script that calls itself has no end.
const DEPTH_MAX: usize = 8;

/// What a wrapper that is kept costs.
const COST: &str = "so it stays between systemd and the app: it takes memory of its own (npm about \
                    50 MB), it decides whether the app gets SIGTERM, and in inherit mode the app \
                    does not take the sockets, since LISTEN_PID is the wrapper's";

/// A command without its wrappers.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) words: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
    /// The port that a wrapper would have set.
    pub(super) port: Option<u16>,
    /// Whether the words are other ones than the person wrote.
    pub(super) rewritten: bool,
    /// Whether the programs of packages were on its `PATH`.
    pub(super) local_path: bool,
}

/// Variables, in the order that they are set.
type Variables = Vec<(String, String)>;

/// What one look at a command says.
enum Step {
    /// It runs this one.
    Inner { words: Vec<String>, environment: Variables, port: Option<u16>, because: Option<String> },
    /// It wraps something, and stays.
    Keep(String),
    /// It is no wrapper.
    Plain,
}

/// Takes the wrappers off `command`.
pub(super) fn unwrap(command: &[String], place: &Place<'_>) -> Result<Inside, ProgramError> {
    let mut inside = Inside { words: command.to_vec(), ..Inside::default() };
    // `command = "npm start"`: one text with spaces in it that is no file.
    if let [text] = command
        && text.contains(char::is_whitespace)
        && !place.directory.join(text).exists()
    {
        inside.words = vec!["sh".into(), "-c".into(), text.clone()];
    }
    for _ in 0..DEPTH_MAX {
        match step(&inside.words, place)? {
            Step::Inner { words, environment, port, because } => {
                inside.notes.extend(because);
                inside.port = inside.port.or(port);
                inside.local_path |= is_package_manager(&inside.words);
                inside.words = words;
                inside.rewritten = true;
                for (name, value) in environment {
                    inside.set(name, value);
                }
            }
            Step::Keep(note) => {
                inside.local_path |= is_package_manager(&inside.words);
                inside.notes.push(note);
                return Ok(inside);
            }
            Step::Plain => return Ok(inside),
        }
    }
    inside.notes.push(format!("more than {DEPTH_MAX} wrappers lie inside each other, {COST}"));
    Ok(inside)
}

impl Inside {
    fn set(&mut self, name: String, value: String) {
        match &*name {
            "PORT" => {
                self.port = value.parse().ok().or(self.port);
                self.notes.push(format!(
                    "`PORT={value}` was left out: each instance gets a port of its own, and \
                     `listen` says where the clients connect"
                ));
            }
            // The front sets it, to its private address.
            "HOST" => {}
            _ => {
                self.environment.insert(name, value);
            }
        }
    }
}

fn name(word: &str) -> &str {
    Path::new(word).file_name().and_then(|name| name.to_str()).unwrap_or(word)
}

fn is_package_manager(words: &[String]) -> bool {
    let first = words.first().map(|word| name(word));
    first.is_some_and(|name| {
        matches!(name, "npm" | "npx" | "yarn" | "pnpm" | "pnpx" | "bunx" | "bun")
    })
}

fn step(words: &[String], place: &Place<'_>) -> Result<Step, ProgramError> {
    let Some((first, rest)) = words.split_first() else { return Err(ProgramError::Empty) };
    Ok(match name(first) {
        "sh" | "bash" | "dash" | "zsh" => shell(words, rest),
        "env" => env(words, rest),
        "cross-env" => assignments(rest).map_or(Step::Plain, |(environment, words)| Step::Inner {
            words,
            environment,
            port: None,
            because: None,
        }),
        "nohup" | "exec" | "setsid" if !rest.is_empty() && !rest[0].starts_with('-') => {
            Step::Inner { words: rest.to_vec(), environment: Vec::new(), port: None, because: None }
        }
        "npm" | "yarn" | "pnpm" => manager(words, name(first), rest, place)?,
        "bun" if rest.first().is_some_and(|verb| verb == "run") => bun(words, rest, place),
        "npx" | "pnpx" | "bunx" => execute(words, rest, place),
        "uv" | "poetry" | "pipenv" | "pdm" | "rye" if rest.first().is_some_and(|r| r == "run") => {
            venv(words, &rest[1..], place)
        }
        other => warn(other, words),
    })
}

/// `sh -c TEXT`.
fn shell(words: &[String], rest: &[String]) -> Step {
    let [option, text, more @ ..] = rest else { return Step::Plain };
    if !option.starts_with('-') || option.starts_with("--") || !option.ends_with('c') {
        return Step::Plain;
    }
    // Words after the text are `$0`, `$1`, ...: only the text may use them.
    match shell::read(text) {
        Ok(simple) if more.is_empty() || !text.contains('$') => Step::Inner {
            words: simple.words,
            environment: simple.environment,
            port: simple.port,
            because: None,
        },
        Ok(_) => keep(words, "it uses its arguments"),
        Err(why) => keep(words, &why.to_string()),
    }
}

/// `env A=B COMMAND`.
fn env(words: &[String], rest: &[String]) -> Step {
    let rest = if rest.first().is_some_and(|word| word == "--") { &rest[1..] } else { rest };
    match assignments(rest) {
        Some((environment, words)) if !words[0].starts_with('-') => {
            Step::Inner { words, environment, port: None, because: None }
        }
        _ => keep(words, "only env itself knows its options"),
    }
}

/// The assignments before a command, and the command; none: there is none.
pub(crate) fn assignments(words: &[String]) -> Option<(Variables, Vec<String>)> {
    let split = |word: &String| {
        let (name, value) = word.split_once('=')?;
        is_variable_name(name).then(|| (name.to_owned(), value.to_owned()))
    };
    let environment: Vec<_> = words.iter().map_while(split).collect();
    let command = words[environment.len()..].to_vec();
    (!command.is_empty()).then_some((environment, command))
}

/// `npm start`, `npm run X`, `npm exec X` and the same with yarn and pnpm.
fn manager(
    words: &[String],
    manager: &str,
    rest: &[String],
    place: &Place<'_>,
) -> Result<Step, ProgramError> {
    let quiet = |word: &&String| matches!(&***word, "-s" | "--silent" | "-q" | "--quiet");
    let skipped = rest.iter().take_while(quiet).count();
    let Some((verb, rest)) = rest[skipped..].split_first() else { return Ok(Step::Plain) };
    let package = || {
        let failed = |reason| ProgramError::Package { command: words.join(" "), reason };
        Package::read(place.directory).map_err(failed)
    };
    match &**verb {
        "exec" | "x" | "dlx" => return Ok(execute(words, rest, place)),
        "start" | "test" | "restart" | "stop" => {
            return script(words, verb, rest, manager, &package()?);
        }
        "run" | "run-script" | "rum" | "urn" => {
            let skipped = rest.iter().take_while(quiet).count();
            return match rest[skipped..].split_first() {
                Some((verb, rest)) if !verb.starts_with('-') => {
                    script(words, verb, rest, manager, &package()?)
                }
                _ => Ok(keep(words, "only the package manager knows its options")),
            };
        }
        option if option.starts_with('-') => {
            return Ok(keep(words, "only the package manager knows its options"));
        }
        _ => {}
    }
    // `yarn serve`, `pnpm next start`: a script, else a program of a package.
    if manager != "npm" {
        let package = package()?;
        if package.scripts.contains_key(verb) {
            return script(words, verb, rest, manager, &package);
        }
        if place.package_program(verb).is_some() {
            return Ok(execute(words, &[std::slice::from_ref(verb), rest].concat(), place));
        }
    }
    Ok(keep(words, "it runs no script of package.json"))
}

/// The script `script` of a package, with further arguments.
fn script(
    words: &[String],
    script: &str,
    rest: &[String],
    manager: &str,
    package: &Package,
) -> Result<Step, ProgramError> {
    let command = words.join(" ");
    let text = match package.scripts.get(script) {
        Some(text) => text.clone(),
        // npm-start(1)
        None if script == "start" && manager == "npm" => "node server.js".into(),
        None => {
            let known = package.scripts.keys().cloned().collect();
            return Err(ProgramError::NoScript { command, script: script.into(), known });
        }
    };
    for around in [format!("pre{script}"), format!("post{script}")] {
        if package.scripts.contains_key(&around) {
            let why = format!("package.json has a script `{around}`, which runs around it");
            return Ok(keep(words, &why));
        }
    }
    let Some(arguments) = arguments(rest, manager) else {
        return Ok(keep(
            words,
            "only npm knows its options; arguments of the script stand after --",
        ));
    };
    Ok(match shell::read(&text) {
        Ok(simple) => Step::Inner {
            words: [simple.words, arguments].concat(),
            environment: simple.environment,
            port: simple.port,
            because: Some(format!(
                "`{command}` is `{text}` in package.json, which runs without {manager} in between \
                 (then {manager}'s own variables, such as npm_package_version, are not set)"
            )),
        },
        Err(why) => keep(words, &script_reason(script, &text, &why)),
    })
}

fn script_reason(script: &str, text: &str, why: &Complex) -> String {
    format!("its script `{script}` is `{text}`, and {why}")
}

/// What the script gets of the words after its name; none: npm takes some for itself.
fn arguments(rest: &[String], manager: &str) -> Option<Vec<String>> {
    let dashes = rest.iter().position(|word| word == "--");
    let before = &rest[..dashes.unwrap_or(rest.len())];
    if manager == "npm" && before.iter().any(|word| word.starts_with('-')) {
        return None;
    }
    let after = dashes.map_or(&[][..], |at| &rest[at + 1..]);
    Some([before, after].concat())
}

/// `bun run X`: a script of package.json, else a file, which bun runs itself.
fn bun(words: &[String], rest: &[String], place: &Place<'_>) -> Step {
    let Some(name) = rest.get(1) else { return Step::Plain };
    let Ok(package) = Package::read(place.directory) else { return Step::Plain };
    if !package.scripts.contains_key(name) {
        return Step::Plain;
    }
    script(words, name, &rest[2..], "bun", &package).unwrap_or(Step::Plain)
}

/// `npx X`: a program that a package brings.
fn execute(words: &[String], rest: &[String], place: &Place<'_>) -> Step {
    let known = |word: &&String| {
        matches!(&***word, "--" | "-y" | "--yes" | "--no" | "--no-install" | "-q" | "--quiet")
    };
    let skipped = rest.iter().take_while(known).count();
    let Some((program, arguments)) = rest[skipped..].split_first() else { return Step::Plain };
    if program.starts_with('-') {
        return keep(words, "only the package manager knows its options");
    }
    if place.package_program(program).is_none() {
        let why = match place.not_installed(program) {
            Some(install) => format!(
                "package.json names `{program}`, and it is not installed: run `{install}` in the app's folder"
            ),
            None => format!(
                "no package of the app brings `{program}`: it would be downloaded at a start; add it to \
                 package.json"
            ),
        };
        return keep(words, &why);
    }
    let arguments = arguments.strip_prefix(&["--".to_owned()][..]).unwrap_or(arguments);
    Step::Inner {
        words: [std::slice::from_ref(program), arguments].concat(),
        environment: Vec::new(),
        port: None,
        because: Some(format!(
            "`{}` runs `{program}` of the app's packages directly",
            words.join(" ")
        )),
    }
}

/// `uv run X`, `poetry run X`: a program of the venv, where it lies in the app's folder.
fn venv(words: &[String], rest: &[String], place: &Place<'_>) -> Step {
    let Some((program, arguments)) = rest.split_first() else { return Step::Plain };
    let file = place.venv_folder().map(|folder| folder.join(program));
    if program.starts_with('-') || program.contains('/') {
        return keep(words, "only the manager of the venv knows its options");
    }
    match file.as_deref().filter(|file| file.is_file()).and_then(Path::to_str) {
        Some(file) => Step::Inner {
            words: [&[file.to_owned()][..], arguments].concat(),
            environment: Vec::new(),
            port: None,
            because: Some(format!("`{}` runs {file} directly", words.join(" "))),
        },
        None => keep(words, "there is no .venv with that program in the app's folder"),
    }
}

/// Programs that run the app as their child, or are not made for a server.
fn warn(name: &str, words: &[String]) -> Step {
    let why = match (name, words.get(1).map(String::as_str)) {
        ("nodemon" | "ts-node-dev" | "supervisor" | "node-dev", _) => {
            "it restarts the app by itself, for development"
        }
        ("concurrently" | "npm-run-all" | "run-p" | "run-s" | "turbo" | "nx" | "lerna", _) => {
            "it runs several programs; make each an app of its own"
        }
        ("pm2" | "pm2-runtime" | "forever" | "pm2-docker", _) => {
            "it is a process manager too; `romuoctl import` reads its configuration"
        }
        ("dotenv" | "env-cmd" | "cross-env-shell" | "dotenvx", _) => {
            "it runs the app as its child; `env_file` does the same without it"
        }
        ("go" | "cargo" | "dotnet", Some("run")) => {
            "it builds the app at each start; build it once, and name the program that comes of it"
        }
        ("mvn" | "gradle" | "gradlew" | "sbt", _) => {
            "it builds the app at each start; build it once, and run the jar"
        }
        _ => return Step::Plain,
    };
    keep(words, why)
}

fn keep(words: &[String], why: &str) -> Step {
    Step::Keep(format!("`{}` was left as it is: {why}, {COST}", words.join(" ")))
}

//! A command that has PM2 start the app -> what PM2 would run.

use std::path::Path;

use super::command::{Made, interpreter_of};

/// Options of PM2 that have a value behind them (`pm2 start --help`).
const WITH_VALUE: [&str; 31] = [
    "-n",
    "--name",
    "-i",
    "--instances",
    "-e",
    "--error",
    "-o",
    "--output",
    "-l",
    "--log",
    "-p",
    "--pid",
    "-u",
    "--user",
    "--uid",
    "--gid",
    "-c",
    "--cron",
    "--cron-restart",
    "--interpreter",
    "--interpreter-args",
    "--node-args",
    "--env",
    "--cwd",
    "--max-memory-restart",
    "--kill-timeout",
    "--restart-delay",
    "--max-restarts",
    "--namespace",
    "--log-date-format",
    "--watch-delay",
];

/// Ends of the names of files that say what PM2 is to start.
const CONFIGURATIONS: [&str; 6] =
    [".config.js", ".config.cjs", ".config.mjs", ".json", ".yml", ".yaml"];

/// What PM2 would run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Launched {
    words: Vec<String>,
    instances: Option<String>,
}

impl Launched {
    /// The command that calls PM2, without it.
    pub(super) fn over(self, made: Made) -> Made {
        let mut notes = made.notes;
        notes.push("its script has PM2 start it: what PM2 would run is the command here".into());
        Made { words: self.words, instances: self.instances, notes, ..made }
    }
}

/// What PM2 would run for the command `words`; the error is the file that says it. None: it is not PM2 that is
/// called, or not to start something.
pub(super) fn of_pm2(words: &[String]) -> Option<Result<Launched, String>> {
    let words = words.strip_prefix(&["npx".to_owned()][..]).unwrap_or(words);
    let (program, rest) = words.split_first()?;
    let rest = match (Path::new(program).file_name()?.to_str()?, rest.first()?.as_str()) {
        ("pm2" | "pm2-runtime" | "pm2-docker", "start") => &rest[1..],
        ("pm2-runtime" | "pm2-docker", _) => rest,
        _ => return None,
    };
    let (mut launched, mut script, mut interpreter) = (Launched::default(), None, None);
    let (mut options, mut arguments) = (Vec::new(), Vec::new());
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let (option, inline) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
            _ => (&**word, None),
        };
        if option == "--" {
            arguments.extend(rest.by_ref().cloned());
        } else if WITH_VALUE.contains(&option) {
            let value = inline.or_else(|| rest.next().cloned())?;
            match option {
                "-i" | "--instances" => launched.instances = Some(value),
                "--interpreter" => interpreter = Some(value),
                "--node-args" | "--interpreter-args" => {
                    options.extend(value.split_whitespace().map(str::to_owned));
                }
                _ => {}
            }
        } else if !option.starts_with('-') && script.is_none() {
            script = Some(word.clone());
        }
    }
    let script = script?;
    if CONFIGURATIONS.iter().any(|end| script.ends_with(end)) {
        return Some(Err(script));
    }
    if let Some((first, more)) = script.split_once(' ') {
        // PM2 gives a text with spaces in it to a shell.
        launched.words =
            [first].into_iter().chain(more.split_whitespace()).map(str::to_owned).collect();
        return Some(Ok(launched));
    }
    let interpreter = match interpreter.as_deref() {
        Some("none") => None,
        Some(other) => Some(other.to_owned()),
        None if script.contains('/') => Some(interpreter_of(&script).unwrap_or("node").to_owned()),
        None => interpreter_of(&script).map(str::to_owned),
    };
    let options = if interpreter.is_some() { options } else { Vec::new() };
    launched.words =
        interpreter.into_iter().chain(options).chain([script]).chain(arguments).collect();
    Some(Ok(launched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pm2_would_run_is_read_from_its_words() {
        for (text, command, instances) in [
            ("pm2 start server.js -i max --name api", "node server.js", Some("max")),
            ("pm2-runtime server.js", "node server.js", None),
            ("npx pm2 start ./bin/www -i 2", "node ./bin/www", Some("2")),
            ("pm2-runtime start a.py --interpreter=python3.12", "python3.12 a.py", None),
            ("pm2 start npm --name x -- start", "npm start", None),
            ("pm2 start dist/x.js --node-args -r=y --no-daemon", "node -r=y dist/x.js", None),
        ] {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            let launched = of_pm2(&words).unwrap().unwrap();
            let said = (launched.words.join(" "), launched.instances.as_deref());
            assert_eq!(said, (command.into(), instances), "{text}");
        }
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let file = of_pm2(&words("pm2-runtime start ecosystem.config.js --env production"));
        assert_eq!(file, Some(Err("ecosystem.config.js".into())));
        for text in ["node server.js", "pm2 logs", "pm2 start", "pm2"] {
            assert_eq!(of_pm2(&words(text)), None, "{text}");
        }
    }
}

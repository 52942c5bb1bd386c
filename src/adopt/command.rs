//! From a script and its options to the words of a command.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::program::{assignments, read_shell, with_place};

/// A command in the making.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) words: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// The port that it would have listened on.
    pub(super) port: Option<u16>,
    /// How many of it are to run, where it says so.
    pub(super) instances: Option<String>,
    pub(super) notes: Vec<String>,
}

/// What runs a file of this extension, as PM2 has it.
pub(super) fn interpreter_of(script: &str) -> Option<&'static str> {
    let extension = Path::new(script).extension()?.to_str()?;
    Some(match extension {
        "sh" => "bash",
        "py" => "python3",
        "rb" => "ruby",
        "php" => "php",
        "pl" => "perl",
        "js" | "mjs" | "cjs" => "node",
        "coffee" => "coffee",
        "ls" => "lsc",
        "ts" | "tsx" => "bun",
        _ => return None,
    })
}

/// What a script without a known extension is run by: itself where it is a program or a command on
/// the `PATH`; Node where it is a text that does not say.
pub(super) fn is_text_for_node(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut head));
    read.is_ok_and(|length| length > 0 && !head.starts_with(b"#!") && !head.starts_with(b"\x7fELF"))
}

/// Programs that only set variables for the one behind them.
const SETTERS: [&str; 2] = ["cross-env", "env"];

/// A line of shell as a command: its words, or a shell that runs it.
pub(super) fn of_line(line: &str) -> Made {
    match read_shell(line) {
        Ok(mut simple) => {
            let sets = simple.words.first().is_some_and(|word| SETTERS.contains(&&**word));
            if let Some((environment, words)) = assignments(&simple.words[usize::from(sets)..])
                && sets
                && !words[0].starts_with('-')
            {
                simple.environment.extend(environment);
                simple.words = words;
            }
            let (words, environment) = (simple.words, simple.environment);
            Made { words, environment, port: simple.port, ..Made::default() }
        }
        Err(why) => Made {
            words: vec!["sh".into(), "-c".into(), line.into()],
            notes: vec![format!(
                "the command needs a shell, because {why}; let its last part begin with `exec`, so \
                 that the app gets SIGTERM"
            )],
            ..Made::default()
        },
    }
}

/// Servers that do not look at `PORT`: by a word of their command, and what makes them listen on
/// the port that they are given.
const PORT_WORDS: [(&str, &[&str]); 10] = [
    ("vite", &["--host", "{host}", "--port", "{port}"]),
    ("uvicorn", &["--host", "{host}", "--port", "{port}"]),
    ("hypercorn", &["--bind", "{host}:{port}"]),
    ("daphne", &["-b", "{host}", "-p", "{port}"]),
    ("granian", &["--host", "{host}", "--port", "{port}"]),
    ("waitress-serve", &["--host={host}", "--port={port}"]),
    ("flask", &["--host", "{host}", "--port", "{port}"]),
    ("http.server", &["{port}", "--bind", "{host}"]),
    ("runserver", &["{host}:{port}"]),
    ("streamlit", &["--server.address={host}", "--server.port={port}"]),
];

/// Options that say where a server listens, so that none has to be added.
const SAYS_WHERE: [&str; 11] = [
    "--port",
    "-p",
    "--bind",
    "-b",
    "--uds",
    "--fd",
    "--unix-socket",
    "--listen",
    "-u",
    "-e",
    "--server.port",
];

/// Options that name a port, of servers that nobody here knows.
const PORT_OPTIONS: [&str; 3] = ["--port", "-p", "-P"];

impl Made {
    /// Makes it listen on the port that it is given, where its words can do that.
    pub(super) fn listening(mut self) -> Self {
        if let Some((words, port)) = with_place(&self.words) {
            self.words = words;
            self.port = self.port.or(port);
            self.notes.extend(port.map(|port| {
                format!(
                    "the fixed port {port} of the command became {{port}}: each instance gets a port of \
                     its own"
                )
            }));
        }
        let named = |word: &String| {
            let name = Path::new(word).file_name()?.to_str()?;
            PORT_WORDS.iter().find(|(server, _)| *server == name)
        };
        if let Some((server, words)) = self.words.iter().take(4).find_map(named)
            && !self.says_where()
        {
            let says_host = self.words.iter().any(|word| word.contains("{host}"));
            let place = words.iter().position(|word| *word == "--port").filter(|_| says_host);
            self.words.extend(words[place.unwrap_or(0)..].iter().map(|word| (*word).to_owned()));
            self.notes
                .push(format!("{server} does not look at PORT, so it is told where to listen"));
        }
        for word in &mut self.words {
            // Each instance listens on its private address.
            *word = word.replace("0.0.0.0:{port}", "{host}:{port}");
        }
        let fixed = self.words.windows(2).find(|pair| {
            PORT_OPTIONS.contains(&&*pair[0]) && pair[1].parse::<u16>().is_ok_and(|port| port > 0)
        });
        if let Some([option, port]) = fixed {
            self.notes.push(format!(
                "`{option} {port}` in the command may be the port that it listens on: then write \
                 {{port}} in its place, and {port} in `listen`"
            ));
        }
        self
    }

    /// Whether its words say that it listens on the port it is given.
    pub(super) fn takes_port(&self) -> bool {
        self.words.iter().any(|word| word.contains("{port}") || word.contains("$PORT"))
    }

    fn says_where(&self) -> bool {
        self.words.iter().any(|word| {
            let option = word.split_once('=').map_or(&**word, |(option, _)| option);
            SAYS_WHERE.contains(&option) || word.contains("{port}") || word.contains("{socket}")
        })
    }
}

//! A port that is fixed among the words of a command.

use std::path::Path;

/// Options that name a port, of servers that are known, as `--port 3000` or `--port=3000`.
const PORT_OPTIONS: [&str; 5] = ["--port", "-p", "--http-port", "--server.port", "-Dserver.port"];

/// Options that name an address with a port.
const BIND_OPTIONS: [&str; 4] = ["--bind", "-b", "--listen", "-l"];

/// Options that name an address without a port.
const HOST_OPTIONS: [&str; 5] = ["--host", "--hostname", "-H", "--address", "--server.address"];

/// Short options that name an address without a port, by the server whose they are.
const HOSTS_OF: [(&str, &str); 3] = [("daphne", "-b"), ("rails", "-b"), ("rackup", "-o")];

/// The server that takes an address with its scheme only: `serve -l tcp://HOST:PORT`.
const TAKES_SCHEMES: &str = "serve";

/// Servers whose options are known, and which of their short ones mean something else.
const SERVERS: [(&str, &[&str]); 23] = [
    ("next", &[]),
    ("nuxt", &["-b"]),
    ("vite", &["-l", "-b"]),
    ("astro", &[]),
    ("serve", &["-b"]),
    ("http-server", &["-b"]),
    ("json-server", &["-l", "-b"]),
    ("fastify", &["-b"]),
    ("strapi", &[]),
    ("remix-serve", &[]),
    ("uvicorn", &["-p", "-b", "-l", "-H"]),
    ("fastapi", &["-b", "-l"]),
    ("gunicorn", &["-p", "-l"]),
    ("hypercorn", &["-p", "-l"]),
    ("daphne", &["-l"]),
    ("granian", &["-b", "-l"]),
    ("flask", &["-b", "-l"]),
    ("puma", &["-l"]),
    ("rails", &["-l"]),
    ("rackup", &["-b", "-l"]),
    ("waitress-serve", &["-p", "-b", "-l"]),
    ("streamlit", &["-p", "-b", "-l", "-H"]),
    ("java", &["-p", "-b", "-l", "-H"]),
];

/// The command with `{port}` and `{host}` where it has a fixed port and address, and that port;
/// none: it fixes no port that can be told from its words.
#[must_use]
pub fn with_port(words: &[String]) -> Option<(Vec<String>, u16)> {
    let (changed, port) = with_place(words)?;
    Some((changed, port?))
}

/// As [`with_port`], also where only the address is fixed.
pub(crate) fn with_place(words: &[String]) -> Option<(Vec<String>, Option<u16>)> {
    let (server, unlike) = server_of(words)?;
    let is = |options: &[&str], word: &str| options.contains(&word) && !unlike.contains(&word);
    let names_host =
        |option: &str| is(&HOST_OPTIONS, option) || HOSTS_OF.contains(&(server, option));
    let (mut changed, mut found) = (words.to_vec(), None);
    for at in 1..words.len() {
        let (option, value, inline) = match words[at].split_once('=') {
            Some((option, value)) => (option, value, true),
            None => (&*words[at - 1], &*words[at], false),
        };
        let port = || value.parse().ok().map(|port: u16| (Some(port), "{port}".to_owned()));
        let place = || {
            let (port, new) = bound(value)?;
            let new = if server == TAKES_SCHEMES { "tcp://{host}:{port}".into() } else { new };
            Some((Some(port), new))
        };
        // What is an option itself is no address: `vite --host --port 3000`.
        let host = || (!value.starts_with(['{', '-'])).then(|| (None, "{host}".to_owned()));
        let new = (is(&PORT_OPTIONS, option).then(port).flatten())
            .or_else(|| is(&BIND_OPTIONS, option).then(place).flatten())
            .or_else(|| names_host(option).then(host).flatten());
        if let Some((port, new)) = new {
            found = found.or(port);
            changed[at] = if inline { format!("{option}={new}") } else { new };
        }
    }
    // `php -S 0.0.0.0:8000`, `python -m http.server 8000`, `manage.py runserver 8000`
    for at in 2..words.len() {
        let address = match (&*words[at - 2], &*words[at - 1]) {
            (_, "-S") | ("-m", "http.server") => bound(&words[at]),
            (script, "runserver") if script.ends_with("manage.py") => bound(&words[at]),
            _ => None,
        };
        if let Some((port, new)) = address {
            let plain = words[at].parse::<u16>().is_ok();
            changed[at] = if plain { "{port}".into() } else { new };
            found = found.or(Some(port));
        }
    }
    (changed != words).then_some((changed, found))
}

/// The server which `words` run, and the options that mean something else for it; none: no known server.
fn server_of(words: &[String]) -> Option<(&'static str, &'static [&'static str])> {
    let name = |word: &String| {
        let name = Path::new(word).file_name()?.to_str()?;
        SERVERS.iter().find(|(server, _)| *server == name).copied()
    };
    let known = words.iter().take(4).find_map(name);
    known.or_else(|| words.iter().any(|word| BUILT_IN.contains(&&**word)).then_some(("", &[])))
}

/// Words of servers that an interpreter or a framework has built in.
const BUILT_IN: [&str; 3] = ["-S", "http.server", "runserver"];

/// The port of `0.0.0.0:3000`, `:3000`, `3000`, `tcp://0.0.0.0:3000`, and what to write instead.
fn bound(value: &str) -> Option<(u16, String)> {
    let (scheme, address) = value.split_once("://").unwrap_or(("", value));
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    let port = port.parse().ok()?;
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || ".:[]-*".contains(c));
    is_host.then(|| (port, format!("{scheme}{{host}}:{{port}}")))
}

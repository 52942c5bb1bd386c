//! One request to the hostile app, and what has to come of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Time after which no answer is waited for any more.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of an answer that are looked at.
const MOST: usize = 256 << 10;

/// A request whose answer is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// Its method.
    pub(crate) method: &'static str,
    /// Its path.
    pub(crate) path: &'static str,
    /// Its body.
    pub(crate) body: &'static str,
    /// What the answer has to begin with.
    pub(crate) code: Code,
    /// How often the app may see it.
    pub(crate) hits: usize,
    /// How soon the answer has to be there.
    pub(crate) within: Duration,
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// An answer with this code.
    Is(u16),
    /// One with either of them.
    Either(u16, u16),
    /// One that breaks off: its end is not that of a whole answer, or it is 502 at once.
    CutOff,
    /// None at all.
    Nothing,
    /// A whole one, in which none of these words is.
    Without(&'static [&'static str]),
}

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Ask {
    pub(crate) const fn get(path: &'static str, code: Code, hits: usize) -> Self {
        Self { method: "GET", path, body: "", code, hits, within: Duration::from_secs(2) }
    }

    pub(crate) const fn by(self, method: &'static str, body: &'static str) -> Self {
        Self { method, body, ..self }
    }

    /// Sends it, with a target that no other request has; reads to the end of the connection.
    pub(crate) fn send(self, address: SocketAddr, mark: usize) -> Came {
        let begun = Instant::now();
        let text = self.exchange(address, mark).unwrap_or_else(|error| format!("({error})"));
        Came { text, took: begun.elapsed() }
    }

    /// The target.
    pub(crate) fn target(self, mark: usize) -> String {
        format!("{}?{mark}", self.path)
    }

    fn exchange(self, address: SocketAddr, mark: usize) -> std::io::Result<String> {
        let Self { method, body, .. } = self;
        let (target, length) = (self.target(mark), self.body.len());
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {length}\r\n") };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}\r\n{body}"
        );
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(request.as_bytes())?;
        let mut text = Vec::new();
        let mut piece = vec![0; 16 << 10];
        while text.len() < MOST {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(bytes) => text.extend(&piece[..bytes]),
                // What came so far is the answer, as far as there is one.
                Err(_) if !text.is_empty() => {
                    text.extend(b"(broken off)");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// What is wrong with what came, and with how often the app was asked.
    pub(crate) fn judge(self, mark: usize, came: &Came, log: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let Came { text, took } = came;
        let asked = format!("{} {}", self.method, self.path);
        let line = text.lines().next().unwrap_or_default();
        if !self.code.fits(text) {
            wrong.push(format!("{asked}: {line:?} came"));
        }
        let end = format!(" hit {} {}", self.method, self.target(mark));
        let hits = log.lines().filter(|line| line.ends_with(&end)).count();
        if hits > self.hits {
            wrong.push(format!("{asked}: the app was asked {hits} times"));
        }
        if hits == 0 {
            wrong.push(format!("{asked}: the app was never asked"));
        }
        if *took > self.within {
            wrong.push(format!("{asked}: it took {:.1} s", took.as_secs_f64()));
        }
        wrong
    }
}

impl Code {
    fn fits(self, text: &str) -> bool {
        let code = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        match self {
            Self::Is(wanted) => code == Some(wanted),
            Self::Either(one, other) => code == Some(one) || code == Some(other),
            Self::Nothing => code.is_none(),
            Self::CutOff => code == Some(502) || is_cut_off(text),
            Self::Without(words) => code.is_some() && !words.iter().any(|word| text.contains(word)),
        }
    }
}

/// Whether an answer ends before its end.
fn is_cut_off(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return true };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() < length || body.contains("(broken off)"),
        None if head.contains("transfer-encoding: chunked") => !body.ends_with("0\r\n\r\n"),
        // Only a reset tells.
        None => body.contains("(broken off)"),
    }
}

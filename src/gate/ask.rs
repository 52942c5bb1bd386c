//! Asks for the app's health on a connection that is known to be its own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::dial::Dialled;
use super::error::Unwell;
use crate::health::{AGENT, QUESTION};

/// Most that is read of an answer's head, in bytes: what clients allow a server.
const HEAD: usize = 16 << 10;

/// Most header fields of an answer.
const FIELDS: usize = 128;

/// Most that is read of an answer's body, in bytes. A close with bytes unread resets the connection,
/// which some apps log as an error.
const BODY: usize = 64 << 10;

/// A stream whose reads and writes end in time.
trait Timed: Read + Write {
    fn set_timeout(&self, left: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn set_timeout(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left))?;
        self.set_write_timeout(Some(left))
    }
}

impl Timed for UnixStream {
    fn set_timeout(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left))?;
        self.set_write_timeout(Some(left))
    }
}

/// Asks `GET path`; waits for `timeout` at the most. Well is a code from 200 to 399.
pub(super) fn ask(
    connection: Dialled,
    path: &str,
    timeout: Duration,
) -> Result<StatusCode, Unwell> {
    match connection {
        Dialled::Tcp(stream) => ask_on(stream, path, timeout),
        Dialled::Unix(stream) => ask_on(stream, path, timeout),
    }
}

fn ask_on(mut stream: impl Timed, path: &str, timeout: Duration) -> Result<StatusCode, Unwell> {
    let deadline = Instant::now() + timeout;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\n\
         {QUESTION}: 1\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    );
    let in_time = |stream: &dyn Timed| {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would stand for "for ever".
        if left.is_zero() || stream.set_timeout(left).is_err() {
            Err(Unwell::Late(timeout))
        } else {
            Ok(())
        }
    };
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Unwell::Late(timeout),
        _ => Unwell::Closed,
    };
    in_time(&stream)?;
    stream.write_all(request.as_bytes()).map_err(|error| failed(&error))?;

    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    let code = loop {
        if let Some(code) = code(&answer)? {
            break code;
        }
        in_time(&stream)?;
        match stream.read(&mut piece) {
            Ok(0) => return Err(Unwell::Closed),
            Ok(count) => answer.extend(piece.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(&error)),
        }
    };
    // The rest, as far as it comes; it changes nothing any more.
    let mut read = 0;
    while read < BODY && in_time(&stream).is_ok() {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => read += count,
        }
    }
    if code.is_success() || code.is_redirection() { Ok(code) } else { Err(Unwell::Code(code)) }
}

/// The code of the final answer in `bytes`; none: more has to come.
fn code(mut bytes: &[u8]) -> Result<Option<StatusCode>, Unwell> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD => return Ok(None),
            _ => return Err(Unwell::NotHttp),
        };
        let code = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
        let code = code.ok_or(Unwell::NotHttp)?;
        if !code.is_informational() {
            return Ok(Some(code));
        }
        // Another answer follows (RFC 9110, section 15.2).
        bytes = bytes.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of this answer, after which the app closes.
    fn asked(answer: &[u8]) -> Result<StatusCode, Unwell> {
        let (we, mut app) = UnixStream::pair().unwrap();
        app.write_all(answer).unwrap();
        app.shutdown(std::net::Shutdown::Write).unwrap();
        let code = ask(Dialled::Unix(we), "/health", Duration::from_secs(60));
        let mut request = [0; 1024];
        // What was left unread of an answer that is too long is an error of this read.
        if let Ok(count) = app.read(&mut request) {
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            assert!(
                request.starts_with("GET /health HTTP/1.1\r\nHost: localhost\r\n"),
                "{request}"
            );
        }
        code
    }

    #[test]
    fn a_code_from_200_to_399_is_well_and_any_other_is_named() {
        assert_eq!(asked(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), Ok(StatusCode::OK));
        assert_eq!(asked(b"HTTP/1.0 302 Found\r\n\r\n"), Ok(StatusCode::FOUND));
        assert_eq!(
            asked(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
            Ok(StatusCode::NO_CONTENT)
        );
        let error = asked(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap_err();
        assert_eq!(error.to_string(), "answered 404 Not Found");
        assert_eq!(
            asked(b"HTTP/1.1 503 No\r\n\r\n"),
            Err(Unwell::Code(StatusCode::SERVICE_UNAVAILABLE))
        );
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(asked(b""), Err(Unwell::Closed));
        assert_eq!(asked(b"HTTP/1.1 200 OK\r\n"), Err(Unwell::Closed));
        assert_eq!(asked(b"\x15\x03\x01\x00\x02\x02\x46"), Err(Unwell::NotHttp), "a TLS alert");
        let endless = [&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'x'; 2 * HEAD]].concat();
        assert_eq!(asked(&endless), Err(Unwell::NotHttp));
        let (we, _app) = UnixStream::pair().unwrap();
        let silent = ask(Dialled::Unix(we), "/", Duration::from_millis(30));
        assert_eq!(silent, Err(Unwell::Late(Duration::from_millis(30))));
    }
}

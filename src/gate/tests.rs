//! The gate before real processes that share one listening socket.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::config::Listen;

/// Answers every connection on its standard input, which is a listening socket, with its first
/// argument as the code; says `up` first. Without an argument it never accepts.
const APP: &str = "
import os, socket, sys, threading
listener = socket.socket(fileno=0)
print('up', flush=True)
if len(sys.argv) < 2:
    threading.Event().wait()
def serve(client):
    if client.recv(4096):
        client.sendall(b'HTTP/1.1 ' + sys.argv[1].encode() + b' X\\r\\ncontent-length: 0\\r\\n\\r\\n')
    else:
        os.write(1, b'silent\\n')
    client.close()
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
";

/// One instance of the app; ends with the test.
struct Instance {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Instance {
    fn start(listener: &impl AsFd, code: Option<&str>) -> Self {
        let socket: OwnedFd = listener.as_fd().try_clone_to_owned().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", APP]).args(code).stdin(socket).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        Self { child, said }
    }

    fn gate(&self, listen: &Listen, within: Duration) -> Result<Passed, GateError> {
        let gate = Gate {
            listen: vec![listen.clone()],
            path: "/health".into(),
            timeout: Duration::from_secs(10),
            within,
        };
        gate.pass_with(|| Ok(vec![self.child.id()]))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time that is not used up where all is well.
const LONG: Duration = Duration::from_secs(60);

/// Time after which a wait that is to fail does; long enough that on a busy machine all comes before it that
/// is to come.
const SHORT: Duration = Duration::from_secs(2);

fn tcp() -> (TcpListener, Listen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = Listen::Tcp(listener.local_addr().unwrap());
    (listener, listen)
}

#[test]
fn of_two_processes_on_one_socket_the_right_one_is_asked() {
    let (listener, listen) = tcp();
    let well = Instance::start(&listener, Some("200"));
    let ill = Instance::start(&listener, Some("500"));
    for _ in 0..10 {
        assert_eq!(well.gate(&listen, LONG).unwrap().code, 200);
    }
    let error = ill.gate(&listen, SHORT).unwrap_err();
    let sentence = format!("it answered 500 Internal Server Error on {listen} to GET /health");
    assert!(error.to_string().ends_with(&sentence), "{error}");
}

#[test]
fn an_instance_that_never_accepts_fails_although_its_sibling_answers() {
    let (listener, listen) = tcp();
    let mut sibling = Instance::start(&listener, Some("200"));
    let mute = Instance::start(&listener, None);
    let error = mute.gate(&listen, SHORT).unwrap_err();
    assert!(matches!(error, GateError::Nobody { taken: 1.., descriptor: 3, .. }), "{error:?}");
    let said = error.to_string();
    let sentence = format!("nobody of this instance accepted a connection on {listen} within 2s");
    assert!(said.starts_with(&sentence), "{said}");
    // What the sibling had of it: connections on which not a byte came.
    let mut line = String::new();
    sibling.said.read_line(&mut line).unwrap();
    assert_eq!(line, "silent\n");
    assert!(sibling.gate(&listen, LONG).is_ok());
}

#[test]
fn a_unix_socket_is_asked_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let listen = Listen::Unix(path);
    let well = Instance::start(&listener, Some("204"));
    let mute = Instance::start(&listener, None);
    assert_eq!(well.gate(&listen, LONG).unwrap().code, 204);
    let error = mute.gate(&listen, SHORT).unwrap_err();
    assert!(matches!(error, GateError::Nobody { taken: 1.., .. }), "{error:?}");
}

#[test]
fn a_listener_on_every_address_of_ipv6_is_found_too() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let well = Instance::start(&listener, Some("200"));
    for address in [format!("[::]:{port}"), format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")]
    {
        assert_eq!(well.gate(&address.parse().unwrap(), LONG).unwrap().code, 200, "{address}");
    }
}

#[test]
fn where_nobody_listens_or_nobody_is_left_it_says_so() {
    let (listener, listen) = tcp();
    let mute = Instance::start(&listener, None);
    let gate = Gate { listen: vec![listen], path: "/".into(), timeout: LONG, within: LONG };
    let error = gate.pass_with(|| Ok(Vec::new())).unwrap_err();
    assert!(error.to_string().starts_with("the app ended before it answered GET / on "), "{error}");
    let error = mute.gate(&"127.0.0.1:1".parse().unwrap(), SHORT).unwrap_err();
    assert!(matches!(error, GateError::Connect { .. }), "{error:?}");
}

#[test]
fn every_address_has_to_be_answered_on() {
    let ((first, one), (_second, two)) = (tcp(), tcp());
    let half = Instance::start(&first, Some("200"));
    let listen = vec![one, two.clone()];
    let gate = Gate { listen, path: "/".into(), timeout: LONG, within: SHORT };
    let error = gate.pass_with(|| Ok(vec![half.child.id()])).unwrap_err();
    match error {
        GateError::Nobody { listen, descriptor: 4, .. } => assert_eq!(listen, two),
        other => panic!("{other:?}"),
    }
}

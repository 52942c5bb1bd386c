//! The table of requests in `tests/raw/site.txt`, and others, at a site with something of everything.

use super::*;

use std::fs;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::super::figures::Figures;
use super::super::router::{self, Health};
use super::full::{SECRET, fill, serve};
use crate::config::{Settings, StaticSite};

/// One line of the table.
struct Case {
    line: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    code: u16,
    /// A header of the answer, with `-` for one that is not there; or all of its body.
    more: String,
}

fn table() -> Vec<Case> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/raw/site.txt");
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Case::of).collect()
}

impl Case {
    fn of(line: &str) -> Self {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let [request, headers, code, more] = columns[..] else { panic!("columns: {line}") };
        let (method, target) = request.split_once(' ').unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), repeated(value))
        };
        Self {
            line: line.to_owned(),
            method: repeated(method),
            target: repeated(target),
            headers: headers.split("; ").filter(|line| !line.is_empty()).map(header).collect(),
            code: code.parse().unwrap(),
            more: more.to_owned(),
        }
    }
}

/// Writes out `{x*5000}`.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let (what, after) = rest.split_once('}').unwrap();
    let (what, times) = what.rsplit_once('*').unwrap();
    format!("{before}{}{after}", what.repeat(times.parse().unwrap()))
}

/// What came back.
struct Got {
    code: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What is not as in the table.
    fn judge(&self, case: &Case, how: &str) -> Option<String> {
        let (is, more) = if let Some((name, value)) = case.more.split_once(": ") {
            let value = (value != "-").then_some(value);
            (format!("{name}: {:?}", self.header(name)), self.header(name) == value)
        } else {
            let left_out = how == "HEAD" && self.body.is_empty();
            let same = left_out || case.more.is_empty() || case.more == self.body;
            (format!("{:?}", self.body), same)
        };
        let right = self.code == case.code && more && !self.body.contains(SECRET);
        (!right).then(|| format!("{}: {} {is}, {how}", case.line, self.code))
    }
}

async fn over_http1(server: &Server, case: &Case, method: &str) -> Got {
    let mut client = server.connect().await;
    let headers: Vec<_> =
        case.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {} HTTP/1.1\r\nHost: x\r\n", case.target);
    client.send(format!("{head}{}\r\n", headers.concat())).await;
    client.close_sending().await;
    let answer = client.rest().await;
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{}: {answer}", case.line));
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { code, headers, body: body.to_owned() }
}

async fn over_http2(server: &Server, case: &Case) -> Got {
    let target = format!("http://x{}", case.target).parse::<Uri>().unwrap();
    let method = Method::from_bytes(case.method.as_bytes()).unwrap();
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in &case.headers {
        request = request.header(name, value);
    }
    let response = ask_http2(server, request.body(Empty::new()).unwrap()).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Got { code: parts.status.as_u16(), headers: parts.headers, body }
}

/// Sends one request on a connection of its own.
async fn ask_http2(server: &Server, request: Request<Empty<Bytes>>) -> Response<Incoming> {
    let stream = TokioIo::new(server.connect().await.into_stream());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

#[tokio::test]
async fn each_request_of_the_table_is_answered_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&fill(folder.path()));
    let cases = table();
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let first = over_http1(&server, case, &case.method).await;
        wrong.extend(first.judge(case, "HTTP/1"));
        wrong.extend(over_http2(&server, case).await.judge(case, "HTTP/2"));
        if case.method == "GET" {
            let head = over_http1(&server, case, "HEAD").await;
            wrong.extend(head.judge(case, "HEAD"));
            for name in ["content-length", "content-type", "content-encoding", "etag", "location"] {
                if head.header(name) != first.header(name) {
                    wrong.push(format!("{}: HEAD has another {name}", case.line));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(server.answered.failed(), 0);
}

#[tokio::test]
async fn the_fallback_goes_through_the_same_door() {
    let page = |target: &str| Case::of(&format!("GET {target} | Accept: text/html | 0 |"));
    for (fallback, answer) in [
        ("index.html", Some("home")),
        ("self/index.html", Some("home")),
        ("./docs/index.html", Some("docs")),
        ("aä", Some("umlaut")),
        ("back\\slash", Some("slash")),
        ("out.txt", None),
        ("absolute.txt", None),
        ("out/secret.txt", None),
        ("link.txt", None),
        ("link/secret.txt", None),
        (".hidden.txt", None),
        (".hidden/secret.txt", None),
        ("linked-index/index.html", None),
        ("twin-out.css", Some("plain")),
        ("pipe", None),
        ("loop", None),
        ("nowhere", None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let site = StaticSite { fallback: Some(fallback.to_owned()), ..fill(folder.path()) };
        let server = serve(&site);
        for target in
            ["/orders/42", "/.hidden.txt", "/link/secret.txt", "/{x*5000}", "//example.com"]
        {
            let mut case = page(target);
            case.headers.push(("Accept-Encoding".into(), "br, gzip".into()));
            let got = over_http1(&server, &case, "GET").await;
            let expected = answer.map_or((404, "404 Not Found\n"), |text| (200, text));
            assert_eq!((got.code, got.body.as_str()), expected, "{fallback}: {target}");
        }
        assert_eq!(server.answered.failed(), 0, "{fallback}");
    }
}

#[tokio::test]
async fn a_part_is_sent_only_of_the_file_that_the_client_has() {
    let folder = tempfile::tempdir().unwrap();
    let site = fill(folder.path());
    let server = serve(&site);
    let mut client = server.connect().await;
    let whole = client.get("/app.js").await;
    let (etag, time) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    for had in [etag, time] {
        let headers = format!("Range: bytes=2-4\r\nIf-Range: {had}\r\n");
        let part = client.ask("GET", "/app.js", &headers).await;
        assert_eq!((part.code(), part.body.as_str()), (206, "234"), "{had}");
    }
    fs::write(site.root.join("app.js"), "something else").unwrap();
    let headers = format!("Range: bytes=2-4\r\nIf-Range: {etag}\r\n");
    let changed = client.ask("GET", "/app.js", &headers).await;
    assert_eq!((changed.code(), changed.body.as_str()), (200, "something else"));
}

#[tokio::test]
async fn a_site_that_is_gone_is_a_failure_of_the_server_and_back_when_it_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let site = fill(folder.path());
    let server = serve(&site);
    let away = folder.path().join("away");
    fs::rename(&site.root, &away).unwrap();
    let mut client = server.connect().await;
    assert_eq!(client.get("/app.js").await.code(), 500);
    assert_eq!(server.answered.failed(), 1);
    fs::rename(&away, &site.root).unwrap();
    assert_eq!(client.get("/app.js").await.code(), 200);
}

/// Bytes that do not fit in what the kernel buffers of a connection at both ends (tcp(7), `tcp_rmem`), so
/// that the server has not read all of such a file before the client reads.
const MUCH: u64 = 64 << 20;

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_breaks_off_and_one_that_grows_has_its_first_length() {
    let folder = tempfile::tempdir().unwrap();
    let site = fill(folder.path());
    let server = serve(&site);
    let path = site.root.join("much");
    let file = fs::File::create(&path).unwrap();
    for (then, came) in [(MUCH / 2, None), (MUCH * 2, Some(MUCH))] {
        file.set_len(MUCH).unwrap();
        let mut client = server.connect().await;
        client.send("GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert_eq!(client.head().await.header("content-length"), Some(&*MUCH.to_string()));
        file.set_len(then).unwrap();
        let rest = client.rest_of_bytes().await.len() as u64;
        match came {
            Some(came) => assert_eq!(rest, came),
            None => assert!(rest < MUCH, "{rest}"),
        }
    }
    // Of HTTP/2 each stream ends by itself, and one that is not whole has to say so.
    for (then, whole) in [(MUCH / 2, false), (MUCH * 2, true)] {
        file.set_len(MUCH).unwrap();
        let request = Request::get("http://x/much").body(Empty::new()).unwrap();
        let response = ask_http2(&server, request).await;
        assert_eq!(response.status(), StatusCode::OK);
        file.set_len(then).unwrap();
        let body = response.into_body().collect().await;
        assert_eq!(body.ok().map(|body| body.to_bytes().len() as u64), whole.then_some(MUCH));
    }
}

#[tokio::test]
async fn http2_is_judged_as_http1_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&fill(folder.path()));
    for (method, target, headers, code) in [
        ("GET", "http://x/app.js", &[("host", "X")][..], 200),
        ("GET", "http://x/app.js", &[("host", "y")], 400),
        ("GET", "http://x/app.js", &[("host", "x"), ("host", "x")], 400),
        ("GET", "http://x/app.js", &[("host", "")], 400),
        ("HEAD", "http://x/app.js", &[("host", "y")], 400),
        ("GET", "ftp://x/app.js", &[], 400),
        ("GET", "http://u@x/app.js", &[], 400),
        ("CONNECT", "x:80", &[], 405),
        // More than HTTP/1 lets through to the site.
        ("GET", "http://x/docs?\u{e4}", &[], 307),
        ("GET", "http://x/a\u{e4}", &[], 200),
        ("GET", &format!("http://x/{}", "a".repeat(20_000)), &[], 404),
        ("GET", &format!("http://x/{}", "a".repeat(60_000)), &[], 431),
    ] {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = ask_http2(&server, request.body(Empty::new()).unwrap()).await;
        assert_eq!(response.status().as_u16(), code, "{method} {target:?} {headers:?}");
    }
    assert_eq!(server.answered.failed(), 0);
}

#[tokio::test]
async fn health_and_the_control_socket_are_asked_in_the_same_way() {
    let settings = Settings::new("romuo".parse().unwrap(), "/".into());
    let figures = Arc::new(Figures::new(&settings, None, Drain::default()));
    let health = Health::new(figures, Arc::default());
    for handler in [public(health.clone()), Handler::Router(router::control(health))] {
        let server = Server::with(|_| handler, wide(), NEVER);
        for (request, code) in [
            ("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
            ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
            ("GET /health HTTP/1.1\r\n\r\n", "400"),
            ("GET /health HTTP/1.1\nHost: x\r\n\r\n", "400"),
            ("GET http://y/health HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
            ("GET health HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
            ("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", "413"),
            (
                "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
                "400",
            ),
        ] {
            // Of a second one that follows a refused one nobody knows whether it is one.
            let twice = format!("{request}GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
            let mut client = server.connect().await;
            client.send(twice).await;
            client.close_sending().await;
            let rest = client.rest().await;
            let codes: Vec<_> =
                rest.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
            let expected = if code == "200" { vec!["200", "200"] } else { vec![code] };
            assert_eq!(codes, expected, "{request:?}");
        }
        assert_eq!(server.answered.failed(), 0);
    }
}

#[tokio::test]
async fn the_public_port_tells_of_the_app_and_the_control_socket_of_the_instance() {
    type Door = fn(Health) -> Handler;
    let settings = Settings::new("romuo".parse().unwrap(), "/".into());
    let doors: [(Door, u16, &str); 2] = [
        (public, 200, r#""status":"ok""#),
        (|health| Handler::Router(router::control(health)), 503, r#""status":"draining""#),
    ];
    for (door, code, status) in doors {
        let health = |drain: &Drain| {
            Health::new(Arc::new(Figures::new(&settings, None, drain.clone())), Arc::default())
        };
        let mut server = Server::with(|drain| door(health(drain)), wide(), NEVER);
        let mut client = server.connect().await;
        assert_eq!(client.get("/health").await.code(), 200);
        server.begin_drain().await;
        let answer = client.get("/health").await;
        assert_eq!((answer.code(), answer.is_last()), (code, true));
        assert!(answer.body.contains(status), "{}", answer.body);
    }
}

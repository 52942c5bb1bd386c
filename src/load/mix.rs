//! What a load consists of: the target, the clients, what they ask for and what they expect.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use super::kind::{Connection, Kind};

/// Time that a request may take, the client's own pauses included. Longer than any client or proxy
/// would wait by default for a page, so what exceeds it is lost for a person too.
const DEADLINE: Duration = Duration::from_secs(30);

/// Time after which a load ends by itself, so that a forgotten one does not run for ever.
const LONGEST: Duration = Duration::from_secs(600);

/// Size of the body of a slow upload, in bytes: big enough for many pieces, small enough to fit
/// any default limit.
pub(super) const SLOW_BODY: usize = 64 * 1024;

/// Where the requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix stream socket.
    Unix(PathBuf),
}

impl Target {
    /// What a request names as its host (RFC 9112, 3.2).
    pub(super) fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// One request and the answer that it has to bring.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) body: Bytes,
    pub(super) status: StatusCode,
    pub(super) answer: Body,
}

/// The body that an answer has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Any, as long as it is complete.
    Any,
    /// So many bytes.
    Length(u64),
    /// Exactly these bytes.
    Exact(Bytes),
}

impl Request {
    /// A GET of `path` that expects 200 and any complete body.
    #[must_use]
    pub fn get(path: PathAndQuery) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Bytes::new(),
            status: StatusCode::OK,
            answer: Body::Any,
        }
    }

    /// A POST of `body` to `path` that expects 200 and any complete body.
    #[must_use]
    pub fn post(path: PathAndQuery, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(path) }
    }

    /// Expects this status instead of 200.
    #[must_use]
    pub fn expecting(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Expects this body.
    #[must_use]
    pub fn expecting_body(mut self, body: Body) -> Self {
        self.answer = body;
        self
    }
}

/// What the standard mix asks a server for.
#[derive(Debug, Clone)]
pub struct Site {
    /// Something small, such as a page.
    pub small: Request,
    /// Something of several MiB, for the slow downloads.
    pub large: Request,
    /// A request with a body. The server has to read the body to its end whatever it answers, as
    /// the clients send all of it before they read the answer.
    pub upload: Request,
}

/// Some clients of one kind that all ask for the same.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) clients: usize,
    pub(super) request: Request,
}

impl Group {
    /// What the report calls the group.
    pub(super) fn name(&self) -> String {
        match (self.kind, &self.request.method) {
            (Kind::SlowUpload { .. }, _) | (_, &Method::GET) => self.kind.to_string(),
            (kind, method) => format!("{method}, {kind}"),
        }
    }
}

/// Which clients run against a target, and for how long at the most.
#[derive(Debug, Clone)]
pub struct Mix {
    pub(super) target: Target,
    pub(super) groups: Vec<Group>,
    pub(super) deadline: Duration,
    pub(super) longest: Duration,
    pub(super) most: u64,
}

impl Mix {
    /// A mix without clients: a deadline of 30 s per request, at most 10 min, any number of
    /// requests.
    #[must_use]
    pub fn new(target: impl Into<Target>) -> Self {
        Self {
            target: target.into(),
            groups: Vec::new(),
            deadline: DEADLINE,
            longest: LONGEST,
            most: u64::MAX,
        }
    }

    /// The clients that a server on the net meets, each kind of them. The gaps lie below and above
    /// the 2 s for which a draining server lets an idle connection linger.
    #[must_use]
    pub fn standard(target: impl Into<Target>, site: &Site) -> Self {
        const fn ms(count: u64) -> Duration {
            Duration::from_millis(count)
        }
        let Site { small, large, upload } = site;
        let slow_upload = Request { body: Bytes::from(vec![b'x'; SLOW_BODY]), ..upload.clone() };
        Self::new(target)
            .clients(Kind::KeepAlive { gap: Duration::ZERO }, 4, small)
            .clients(Kind::KeepAlive { gap: ms(5) }, 4, small)
            .clients(Kind::KeepAlive { gap: ms(200) }, 8, small)
            .clients(Kind::KeepAlive { gap: ms(1000) }, 8, small)
            .clients(Kind::KeepAlive { gap: ms(1900) }, 8, small)
            .clients(Kind::KeepAlive { gap: ms(4000) }, 8, small)
            .clients(Kind::NewConnection { gap: Duration::ZERO }, 2, small)
            .clients(Kind::NewConnection { gap: ms(20) }, 4, small)
            .clients(Kind::LateFirstByte { wait: ms(300) }, 4, small)
            .clients(Kind::HalfSent { pause: ms(100), on: Connection::Fresh }, 4, small)
            .clients(Kind::HalfSent { pause: ms(100), on: Connection::Kept }, 4, small)
            .clients(Kind::KeepAlive { gap: ms(20) }, 4, upload)
            .clients(Kind::SlowUpload { over: ms(3000) }, 4, &slow_upload)
            .clients(Kind::SlowDownload { over: ms(3000) }, 4, large)
            .clients(Kind::Http2 { streams: 8, gap: ms(10) }, 2, small)
    }

    /// Adds `count` clients of a kind that all send `request`; nothing where `count` is 0.
    #[must_use]
    pub fn clients(mut self, kind: Kind, count: usize, request: &Request) -> Self {
        if count > 0 {
            self.groups.push(Group { kind, clients: count, request: request.clone() });
        }
        self
    }

    /// Counts a request as lost that takes longer than this, the client's own pauses included.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Starts no request after this time.
    #[must_use]
    pub fn at_most_for(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Starts no more requests than this, all clients together.
    #[must_use]
    pub fn at_most(mut self, requests: u64) -> Self {
        self.most = requests;
        self
    }
}

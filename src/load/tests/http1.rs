use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use proptest::prelude::*;

use super::*;

/// What a server does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Answer,
    AnswerAndSayClose,
    AnswerThenClose,
    CloseUnanswered,
    ResetUnanswered,
    AnswerShort,
    AnswerTooMuch,
    AnswerOtherBody,
    AnswerOtherStatus,
    AnswerNonsense,
}

impl Deed {
    const ALL: [Self; 10] = [
        Self::Answer,
        Self::AnswerAndSayClose,
        Self::AnswerThenClose,
        Self::CloseUnanswered,
        Self::ResetUnanswered,
        Self::AnswerShort,
        Self::AnswerTooMuch,
        Self::AnswerOtherBody,
        Self::AnswerOtherStatus,
        Self::AnswerNonsense,
    ];

    fn is_good(self) -> bool {
        matches!(self, Self::Answer | Self::AnswerAndSayClose | Self::AnswerThenClose)
    }

    /// Does it; true: the connection goes on.
    async fn perform(self, stream: &mut TcpStream) -> bool {
        let (bytes, goes_on) = match self {
            Self::Answer => (OK, true),
            Self::AnswerAndSayClose => (OK_AND_CLOSE, false),
            Self::AnswerThenClose => (OK, false),
            Self::CloseUnanswered => ("", false),
            Self::ResetUnanswered => {
                stream.set_zero_linger().unwrap();
                ("", false)
            }
            Self::AnswerShort => ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", false),
            Self::AnswerTooMuch => ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\noknow", true),
            Self::AnswerOtherBody => ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", true),
            Self::AnswerOtherStatus => ("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nok", true),
            Self::AnswerNonsense => ("ok", true),
        };
        stream.write_all(bytes.as_bytes()).await.is_ok() && goes_on
    }
}

/// A server that does one deed after the other, whatever connection the request comes on.
async fn server_of(deeds: Vec<Deed>) -> std::net::SocketAddr {
    let deeds = Arc::new(Mutex::new(VecDeque::from(deeds)));
    server(move |mut stream| {
        let deeds = Arc::clone(&deeds);
        async move {
            while read_request(&mut stream).await {
                let deed = deeds.lock().unwrap().pop_front().unwrap_or(Deed::Answer);
                if !deed.perform(&mut stream).await {
                    break;
                }
            }
        }
    })
    .await
}

/// A keep-alive client meets the same deed again and again.
async fn meet(deed: Deed) -> Report {
    send(server_of(vec![deed; 10]).await, FLAT_OUT, &page(), 10).await
}

#[tokio::test]
async fn a_kept_connection_carries_all_requests() {
    let report = meet(Deed::Answer).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1));
}

#[tokio::test]
async fn a_close_while_idle_that_the_client_has_seen_is_a_reconnect_and_no_loss() {
    let report = meet(Deed::AnswerThenClose).await;
    let total = report.total();
    assert_eq!((total.lost, total.reconnects, total.idle_closes), (0, 9, 9));
}

#[tokio::test]
async fn an_announced_close_leads_to_a_new_connection() {
    let report = meet(Deed::AnswerAndSayClose).await;
    let total = report.total();
    assert_eq!((total.lost, total.reconnects, total.idle_closes), (0, 9, 0));
    assert_eq!(total.connections, 10);
}

#[tokio::test]
async fn a_close_instead_of_an_answer_is_a_loss() {
    let report = meet(Deed::CloseUnanswered).await;
    assert_eq!((report.lost(), report.total().reconnects), (10, 0));
    assert!(matches!(report.failures()[0].loss, Loss::Ended { received: 0 }));
}

#[tokio::test]
async fn a_reset_is_a_loss() {
    let report = meet(Deed::ResetUnanswered).await;
    assert_eq!(report.lost(), 10);
    let Loss::Receive { received: 0, source } = &report.failures()[0].loss else {
        panic!("{:?}", report.failures());
    };
    assert_eq!(source.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_short_body_is_a_loss() {
    let report = meet(Deed::AnswerShort).await;
    assert_eq!(report.lost(), 10);
    assert!(matches!(report.failures()[0].loss, Loss::Ended { received: 39 }), "{report}");
}

#[tokio::test]
async fn bytes_after_the_answer_are_a_loss() {
    let report = meet(Deed::AnswerTooMuch).await;
    assert_eq!(report.lost(), 10);
    assert!(matches!(report.failures()[0].loss, Loss::Unasked(3)), "{report}");
}

#[tokio::test]
async fn another_body_or_status_or_protocol_is_a_loss() {
    let report = meet(Deed::AnswerOtherBody).await;
    assert_eq!(report.lost(), 10);
    assert!(matches!(report.failures()[0].loss, Loss::Differs { at: 0 }), "{report}");

    let report = meet(Deed::AnswerOtherStatus).await;
    assert_eq!(report.lost(), 10);
    let expected = StatusCode::SERVICE_UNAVAILABLE;
    assert!(matches!(report.failures()[0].loss, Loss::Status { got, .. } if got == expected));

    let report = meet(Deed::AnswerNonsense).await;
    assert_eq!(report.lost(), 10);
    assert!(matches!(report.failures()[0].loss, Loss::Malformed(_)), "{report}");
}

#[tokio::test]
async fn a_body_of_another_length_is_a_loss() {
    let address = server_of(Vec::new()).await;
    let longer = page().expecting_body(Body::Length(3));
    assert_eq!(send(address, FLAT_OUT, &longer, 4).await.lost(), 4);
    let shorter = page().expecting_body(Body::Length(1));
    assert_eq!(send(address, FLAT_OUT, &shorter, 4).await.lost(), 4);
    let exact = page().expecting_body(Body::Length(2));
    assert_eq!(send(address, FLAT_OUT, &exact, 4).await.lost(), 0);
}

#[tokio::test]
async fn a_refused_connect_is_a_loss_each_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = send(address, FLAT_OUT, &page(), 3).await;
    assert_eq!((report.lost(), report.total().connections), (3, 0));
    assert!(matches!(report.failures()[0].loss, Loss::Connect(_)), "{report}");
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_a_loss() {
    let address =
        server(|mut stream| async move { while read_request(&mut stream).await {} }).await;
    let deadline = Duration::from_millis(20);
    let mix = Mix::new(address).clients(FLAT_OUT, 1, &page()).deadline(deadline).at_most(2);
    let report = start(mix).finish().await;
    assert_eq!((report.sent(), report.lost()), (2, 2));
    assert!(matches!(report.failures()[0].loss, Loss::Deadline(after) if after == deadline));
}

#[tokio::test]
async fn a_client_without_keep_alive_says_so_and_opens_a_connection_for_each_request() {
    let address = server(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        let says_close = String::from_utf8(head).unwrap().contains("Connection: close\r\n");
        let answer = if says_close { OK } else { "HTTP/1.1 400 No\r\n\r\n" };
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let kind = Kind::NewConnection { gap: Duration::ZERO };
    let total = send(address, kind, &page(), 10).await.total().clone();
    assert_eq!((total.lost, total.connections, total.reconnects), (0, 10, 0));
}

#[tokio::test]
async fn a_fresh_connection_closed_before_its_first_byte_is_a_loss() {
    let address = server(|stream| async move { drop(stream) }).await;
    let kind = Kind::LateFirstByte { wait: Duration::from_millis(5) };
    let report = send(address, kind, &page(), 4).await;
    assert_eq!((report.lost(), report.total().reconnects), (4, 0));
}

#[tokio::test]
async fn a_connection_that_waits_before_its_first_byte_is_answered_after_that() {
    let wait = Duration::from_millis(10);
    let address = server(|stream| answer_all(stream, OK)).await;
    let report = send(address, Kind::LateFirstByte { wait }, &page(), 3).await;
    assert_eq!((report.lost(), report.total().connections), (0, 3));
    assert!(report.lasted() >= 3 * wait, "{:?}", report.lasted());
}

#[tokio::test]
async fn bytes_that_come_while_the_connection_is_idle_are_a_loss_of_the_next_request() {
    let address = server(|mut stream| async move {
        while read_request(&mut stream).await {
            stream.write_all(OK.as_bytes()).await.unwrap();
            // After the client has read its answer; if it comes later, it spoils the next one.
            tokio::time::sleep(Duration::from_millis(2)).await;
            stream.write_all(b"x").await.unwrap();
        }
    })
    .await;
    let kind = Kind::KeepAlive { gap: Duration::from_millis(50) };
    let report = send(address, kind, &page(), 4).await;
    assert_eq!((report.total().ok, report.lost()), (2, 2), "{report}");
}

#[tokio::test]
async fn a_close_on_a_half_received_request_is_a_loss_on_a_fresh_and_on_a_kept_connection() {
    let pause = Duration::from_millis(5);
    let address = server(|mut stream| async move {
        stream.read_buf(&mut Vec::with_capacity(1024)).await.unwrap();
    })
    .await;
    let fresh = Kind::HalfSent { pause, on: Connection::Fresh };
    assert_eq!(send(address, fresh, &page(), 4).await.lost(), 4);

    let address = server(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream.read_buf(&mut Vec::with_capacity(1024)).await.unwrap();
    })
    .await;
    let kept = Kind::HalfSent { pause, on: Connection::Kept };
    let report = send(address, kept, &page(), 8).await;
    assert_eq!((report.lost(), report.total().connections), (4, 4), "{report}");
}

#[tokio::test]
async fn a_half_sent_request_arrives_in_two_pieces() {
    let pieces = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pieces);
    let address = server(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let (mut head, mut pieces) = (Vec::with_capacity(1024), 0);
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut head).await.unwrap();
                pieces += 1;
            }
            seen.lock().unwrap().push(pieces);
            stream.write_all(OK_AND_CLOSE.as_bytes()).await.unwrap();
        }
    })
    .await;
    let kind = Kind::HalfSent { pause: Duration::from_millis(20), on: Connection::Kept };
    assert_eq!(send(address, kind, &page(), 5).await.lost(), 0);
    // A busy machine may join the halves of one, hardly those of all.
    assert!(pieces.lock().unwrap().contains(&2), "{pieces:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_a_server_does_each_request_is_counted_once_and_rightly(
        deeds in prop::collection::vec(prop::sample::select(&Deed::ALL[..]), 1..20),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(async {
            let address = server_of(deeds.clone()).await;
            send(address, FLAT_OUT, &page(), deeds.len() as u64).await
        });
        let count = |deeds: &[Deed], wanted: &dyn Fn(Deed) -> bool| {
            deeds.iter().filter(|deed| wanted(**deed)).count() as u64
        };
        // After the last one nothing is opened any more.
        let but_last = &deeds[..deeds.len() - 1];
        let total = report.total();
        prop_assert_eq!(total.ok, count(&deeds, &Deed::is_good));
        prop_assert_eq!(total.lost, count(&deeds, &|deed| !deed.is_good()));
        prop_assert_eq!(total.idle_closes, count(but_last, &|deed| deed == Deed::AnswerThenClose));
        prop_assert_eq!(
            total.reconnects,
            count(but_last, &|deed| deed != Deed::Answer && deed.is_good())
        );
    }
}

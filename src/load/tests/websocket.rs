use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::load::frame::{Frame, Opcode, masked};

const GREETING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                        Connection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const FAST: Kind = Kind::WebSocket { gap: Duration::ZERO };

/// Long enough for a client to see what came behind its last echo.
const WITH_GAP: Kind = Kind::WebSocket { gap: Duration::from_millis(20) };

/// A client on a server that shakes hands with `greeting` and does `deed` with each message.
async fn meet<F>(
    kind: Kind,
    greeting: &'static str,
    count: u64,
    deed: impl Fn(TcpStream, Vec<u8>) -> F + Send + Copy + Sync + 'static,
) -> Report
where
    F: Future<Output = Option<TcpStream>> + Send + 'static,
{
    let address = server(move |mut stream| async move {
        if !read_request(&mut stream).await {
            return;
        }
        stream.write_all(greeting.as_bytes()).await.unwrap();
        while let Some((Opcode::Text, text)) = read_frame(&mut stream).await {
            match deed(stream, text).await {
                Some(goes_on) => stream = goes_on,
                None => return,
            }
        }
    })
    .await;
    send(address, kind, &Request::get(PathAndQuery::from_static("/ws")), count).await
}

/// Reads a masked frame of a client.
async fn read_frame(stream: &mut TcpStream) -> Option<(Opcode, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let opcode = match first {
        0x81 => Opcode::Text,
        0x88 => Opcode::Close,
        0x8A => Opcode::Pong,
        other => panic!("a client sent a frame that begins with {other:#x}"),
    };
    let second = stream.read_u8().await.ok()?;
    assert_eq!(second & 0x80, 0x80, "a client masks");
    let length = match second & 0x7F {
        126 => u64::from(stream.read_u16().await.ok()?),
        127 => stream.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((opcode, payload))
}

/// A frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(u8::try_from(length).unwrap()),
        length @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

fn close(status: u16) -> Vec<u8> {
    frame(0x88, &status.to_be_bytes())
}

async fn say(mut stream: TcpStream, bytes: &[u8]) -> Option<TcpStream> {
    stream.write_all(bytes).await.ok().map(|()| stream)
}

async fn echo(stream: TcpStream, text: Vec<u8>) -> Option<TcpStream> {
    say(stream, &frame(0x81, &text)).await
}

#[tokio::test]
async fn messages_of_all_lengths_come_back_on_one_connection() {
    let report = meet(FAST, GREETING, 12, echo).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
}

#[tokio::test]
async fn an_echo_may_come_in_parts_with_a_ping_between_them_that_is_answered() {
    let report = meet(FAST, GREETING, 6, |stream, text| async move {
        let (one, two) = text.split_at(text.len() / 2);
        let bytes = [frame(0x01, one), frame(0x89, b"there?"), frame(0x80, two)].concat();
        let mut stream = say(stream, &bytes).await?;
        let answer = read_frame(&mut stream).await.unwrap();
        assert_eq!(answer, (Opcode::Pong, b"there?".to_vec()));
        Some(stream)
    })
    .await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
}

#[tokio::test]
async fn a_server_that_goes_between_two_messages_leads_to_a_reconnect_and_no_loss() {
    for status in [1001, 1012] {
        let report = meet(WITH_GAP, GREETING, 5, move |stream, text| async move {
            say(echo(stream, text).await?, &close(status)).await?;
            None
        })
        .await;
        let total = report.total();
        assert_eq!((total.lost, total.reconnects, total.idle_closes), (0, 4, 0), "{report}");
    }
}

#[tokio::test]
async fn an_end_without_a_word_between_two_messages_is_luck() {
    let report = meet(WITH_GAP, GREETING, 5, |stream, text| async move {
        echo(stream, text).await?;
        None
    })
    .await;
    let total = report.total();
    assert_eq!((total.lost, total.reconnects, total.idle_closes), (0, 4, 4), "{report}");
}

#[tokio::test]
async fn a_close_that_calls_nobody_back_is_a_loss() {
    let report = meet(WITH_GAP, GREETING, 5, |stream, text| async move {
        say(echo(stream, text).await?, &close(1011)).await?;
        None
    })
    .await;
    // Each second message meets the close, on the connection of the one before.
    assert_eq!((report.total().ok, report.lost()), (3, 2), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Closed(Some(1011))), "{report}");
}

#[tokio::test]
async fn a_close_or_an_end_or_a_reset_instead_of_the_echo_is_a_loss() {
    let report =
        meet(FAST, GREETING, 3, |stream, _| async move { say(stream, &close(1012)).await }).await;
    assert_eq!((report.lost(), report.total().reconnects), (3, 0), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Closed(Some(1012))), "{report}");

    let report = meet(FAST, GREETING, 3, |_, _| async { None }).await;
    assert_eq!((report.lost(), report.total().reconnects), (3, 0), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Ended { .. }), "{report}");

    let report = meet(FAST, GREETING, 3, |stream, _| async move {
        stream.set_zero_linger().unwrap();
        None
    })
    .await;
    assert_eq!(report.lost(), 3, "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Receive { .. }), "{report}");
}

#[tokio::test]
async fn a_reset_or_a_torn_frame_between_two_messages_is_a_loss() {
    let report = meet(WITH_GAP, GREETING, 4, |stream, text| async move {
        let stream = echo(stream, text).await?;
        // After the client has read its echo.
        tokio::time::sleep(Duration::from_millis(5)).await;
        stream.set_zero_linger().unwrap();
        None
    })
    .await;
    assert_eq!((report.total().ok, report.lost()), (2, 2), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Receive { .. }), "{report}");

    let report = meet(WITH_GAP, GREETING, 4, |stream, text| async move {
        say(echo(stream, text).await?, &close(1012)[..3]).await?;
        None
    })
    .await;
    assert_eq!((report.total().ok, report.lost()), (2, 2), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Ended { .. }), "{report}");
}

#[tokio::test]
async fn another_echo_or_a_message_nobody_asked_for_is_a_loss() {
    let report = meet(FAST, GREETING, 3, |stream, mut text| async move {
        text[7] = b'x';
        echo(stream, text).await
    })
    .await;
    assert_eq!(report.lost(), 3, "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Differs { at: 7 }), "{report}");

    let report = meet(FAST, GREETING, 3, |stream, text| echo(stream, text[1..].to_vec())).await;
    assert_eq!(report.lost(), 3, "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Length { .. }), "{report}");

    let report = meet(WITH_GAP, GREETING, 4, |stream, text| async move {
        echo(echo(stream, text).await?, b"news".to_vec()).await
    })
    .await;
    assert_eq!((report.total().ok, report.lost()), (2, 2), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Unasked(4)), "{report}");
}

#[tokio::test]
async fn an_answer_that_agrees_to_no_websocket_is_a_loss() {
    let report = meet(FAST, OK, 3, echo).await;
    assert_eq!(report.lost(), 3, "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Status { .. }), "{report}");

    let other = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: AAAA\r\n\r\n";
    let report = meet(FAST, other, 3, echo).await;
    assert_eq!(report.lost(), 3, "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Malformed(_)), "{report}");
}

#[test]
fn frames_that_a_server_must_not_send_are_refused() {
    for (what, bytes) in [
        ("masked", vec![0x81, 0x80, 0, 0, 0, 0]),
        ("with an extension", vec![0xC1, 0]),
        ("of an unknown kind", vec![0x83, 0]),
        ("a ping in parts", vec![0x09, 0]),
        ("a ping too long", vec![0x89, 126, 0, 126]),
        ("of 2^63 bytes", vec![0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let taken = Frame::take(&mut BytesMut::from(&bytes[..]));
        assert!(matches!(taken, Err(Loss::Malformed(_))), "{what}: {taken:?}");
    }
}

proptest! {
    #[test]
    fn a_frame_is_read_whole_however_its_bytes_come(
        payload in prop::collection::vec(any::<u8>(), 0..70_000),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = frame(0x82, &payload);
        let cut = cut.index(bytes.len());
        let mut buffer = BytesMut::from(&bytes[..cut]);
        prop_assert!(Frame::take(&mut buffer).unwrap().is_none());
        buffer.extend_from_slice(&bytes[cut..]);
        buffer.extend_from_slice(b"next");
        let taken = Frame::take(&mut buffer).unwrap().unwrap();
        prop_assert_eq!(taken, Frame { last: true, opcode: Opcode::Binary, payload: payload.into() });
        prop_assert_eq!(&buffer[..], b"next");
    }

    #[test]
    fn whatever_bytes_come_nothing_breaks(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = Frame::take(&mut buffer) {}
    }

    #[test]
    fn a_mask_hides_the_payload_and_is_undone_by_itself(
        payload in prop::collection::vec(any::<u8>(), 1..200),
        mask in any::<[u8; 4]>(),
    ) {
        let bytes = masked(Opcode::Text, &payload, mask);
        let at = bytes.len() - payload.len();
        prop_assert_eq!(&bytes[at - 4..at], &mask);
        let undone: Vec<u8> =
            bytes[at..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        prop_assert_eq!(undone, payload);
    }
}

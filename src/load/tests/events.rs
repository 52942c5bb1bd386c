use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n";

/// A client on a server that serves one of `answers` on each connection, after the part that is the
/// same for all, and then closes; the `Last-Event-ID` of each connection.
async fn meet(head: &str, answers: &[&str], count: u64) -> (Report, Vec<Option<String>>) {
    let answers: VecDeque<String> = answers.iter().map(|body| format!("{head}{body}")).collect();
    let answers = Arc::new(Mutex::new(answers));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let address = server(move |mut stream| {
        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.is_ok_and(|count| count == 0) {
                    return;
                }
            }
            let head = String::from_utf8(head).unwrap();
            let id = head.lines().find_map(|line| line.strip_prefix("Last-Event-ID: "));
            seen.lock().unwrap().push(id.map(str::to_owned));
            let answer = answers.lock().unwrap().pop_front().unwrap_or_default();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let request = Request::get(PathAndQuery::from_static("/events"));
    let report = send(address, Kind::Events, &request, count).await;
    let asked = asked.lock().unwrap().clone();
    (report, asked)
}

fn event(id: u64) -> String {
    format!("id: {id}\ndata: {id}\n\n")
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn chunked(head: &str) -> String {
    format!("{head}Transfer-Encoding: chunked\r\n\r\n")
}

#[tokio::test]
async fn events_in_whatever_pieces_are_read_in_their_order() {
    let text = format!(": hello\nretry: 100\n\n\n{}{}id:3\r\ndata:3\r\n\r\n", event(1), event(2));
    let (one, two) = text.split_at(30);
    let body = format!("{}{}0\r\n\r\n", chunk(one), chunk(two));
    let (report, asked) = meet(&chunked(HEAD), &[&body], 3).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
    assert_eq!(asked, [None]);
}

#[tokio::test]
async fn the_end_of_the_stream_leads_to_a_reconnect_behind_the_last_event() {
    let bodies = [5, 7, 9].map(|id| format!("{}0\r\n\r\n", chunk(&(event(id) + &event(id + 1)))));
    let bodies = bodies.each_ref().map(String::as_str);
    let (report, asked) = meet(&chunked(HEAD), &bodies, 6).await;
    let total = report.total();
    assert_eq!((total.lost, total.reconnects, total.idle_closes), (0, 2, 0), "{report}");
    assert_eq!(asked, [None, Some("6".to_owned()), Some("8".to_owned())]);
}

#[tokio::test]
async fn a_cut_between_two_events_is_luck_and_within_one_a_loss() {
    let bodies = [chunk(&event(1)), chunk(&event(2))];
    let (report, _) = meet(&chunked(HEAD), &bodies.each_ref().map(String::as_str), 2).await;
    let total = report.total();
    assert_eq!((total.lost, total.reconnects, total.idle_closes), (0, 1, 1), "{report}");

    for torn in ["id: 2\n", "id: 2\ndata: 2\n"] {
        let bodies = [chunk(&(event(1) + torn)), chunk(&event(2))];
        let (report, _) = meet(&chunked(HEAD), &bodies.each_ref().map(String::as_str), 3).await;
        assert_eq!((report.total().ok, report.lost()), (2, 1), "{report}");
        assert!(matches!(report.failures()[0].loss, Loss::Malformed(_)), "{report}");
    }
    // Between two events, but within a chunk.
    let (report, _) = meet(&chunked(HEAD), &["40\r\nid: 1\ndata: 1\n\n"], 2).await;
    assert_eq!((report.total().ok, report.lost()), (1, 1), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Ended { .. }), "{report}");
}

#[tokio::test]
async fn a_stream_without_a_length_ends_with_its_connection() {
    let bodies = [event(1), event(2)];
    let head = format!("{HEAD}\r\n");
    let (report, _) = meet(&head, &bodies.each_ref().map(String::as_str), 2).await;
    let total = report.total();
    assert_eq!((total.lost, total.reconnects), (0, 1), "{report}");
}

#[tokio::test]
async fn a_gap_in_the_events_is_a_loss() {
    let bodies = [format!("{}0\r\n\r\n", chunk(&(event(1) + &event(3) + &event(4))))];
    let (report, _) = meet(&chunked(HEAD), &bodies.each_ref().map(String::as_str), 2).await;
    assert_eq!((report.total().ok, report.lost()), (1, 1), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Gap { last: 1, got: 3 }), "{report}");
}

#[tokio::test]
async fn an_event_that_is_broken_is_a_loss() {
    for broken in ["id: 1\n\n", "data: 1\n\n", "id: 1\ndata: 2\n\n", "id: one\ndata: one\n\n"] {
        let (report, _) = meet(&chunked(HEAD), &[&chunk(broken)], 1).await;
        assert!(matches!(report.failures()[0].loss, Loss::Malformed(_)), "{broken:?}: {report}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_its_first_event_is_a_loss() {
    let (report, _) = meet(&chunked(HEAD), &["0\r\n\r\n"; 3], 3).await;
    assert_eq!((report.lost(), report.total().connections), (3, 3), "{report}");
}

#[tokio::test]
async fn an_answer_that_is_no_event_stream_is_a_loss() {
    let (report, _) = meet(OK, &[""], 1).await;
    assert!(matches!(report.failures()[0].loss, Loss::Malformed(_)), "{report}");
    let (report, _) = meet("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", &[""], 1).await;
    assert!(matches!(report.failures()[0].loss, Loss::Status { .. }), "{report}");
}

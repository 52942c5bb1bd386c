use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc};

use super::*;

/// A server that tells of each request and answers it when it is told to.
async fn server_on_command() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<()>, Arc<Notify>) {
    let (tell, told) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let on = Arc::clone(&release);
    let address = server(move |mut stream| {
        let (tell, on) = (tell.clone(), Arc::clone(&on));
        async move {
            while read_request(&mut stream).await {
                // The test may be over.
                let _: Result<(), _> = tell.send(());
                on.notified().await;
                drop(stream.write_all(OK.as_bytes()).await);
            }
        }
    })
    .await;
    (address, told, release)
}

#[tokio::test]
async fn a_stop_finishes_the_request_in_hand_and_starts_none() {
    let (address, mut told, release) = server_on_command().await;
    let running = start(Mix::new(address).clients(FLAT_OUT, 3, &page()));
    for _ in 0..3 {
        told.recv().await.unwrap();
    }
    assert_eq!((running.requests_sent(), running.requests_answered()), (3, 0));
    let (report, ()) = tokio::join!(running.stop(), async {
        for _ in 0..3 {
            release.notify_one();
            tokio::task::yield_now().await;
        }
    });
    assert_eq!((report.sent(), report.total().ok, report.lost()), (3, 3, 0), "{report}");
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_gap() {
    let address = server(|stream| answer_all(stream, OK)).await;
    let hour = Kind::KeepAlive { gap: Duration::from_secs(3600) };
    let running = start(Mix::new(address).clients(hour, 2, &page()));
    running.until_answered(2).await.unwrap();
    assert_eq!(running.stop().await.sent(), 2);
}

#[tokio::test]
async fn answers_can_be_awaited_until_the_load_is_over() {
    let address = server(|stream| answer_all(stream, OK)).await;
    let mix = Mix::new(address).clients(FLAT_OUT, 2, &page()).clients(
        Kind::NewConnection { gap: Duration::ZERO },
        1,
        &page(),
    );
    let running = start(mix.clone());
    running.until_answered(10).await.unwrap();
    assert!(running.requests_answered() >= 10);
    running.until_each_answered(5).await.unwrap();
    let report = running.stop().await;
    assert!(report.by_kind().iter().all(|kind| kind.figures.ok >= 5), "{report}");

    let running = start(mix.at_most(20));
    assert_eq!(running.until_answered(21).await, Err(Over));
    assert_eq!(running.until_answered(1).await, Err(Over));
    assert_eq!(running.finish().await.total().ok, 20);
}

#[tokio::test]
async fn a_mix_ends_by_itself_after_its_longest_time() {
    let address = server(|stream| answer_all(stream, OK)).await;
    let longest = Duration::from_millis(30);
    let mix = Mix::new(address).clients(FLAT_OUT, 1, &page()).at_most_for(longest);
    let report = start(mix).finish().await;
    assert!(report.sent() > 0 && report.lasted() >= longest, "{report}");
}

#[tokio::test]
async fn a_mix_without_clients_ends_at_once() {
    let report = start(Mix::new(std::path::PathBuf::from("/nowhere"))).finish().await;
    assert_eq!((report.sent(), report.lost()), (0, 0));
}

#[tokio::test]
async fn a_unix_socket_is_a_target_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while read_request(&mut stream).await {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    });
    let report = start(Mix::new(path).clients(FLAT_OUT, 1, &page()).at_most(10)).finish().await;
    assert_eq!((report.total().ok, report.total().connections), (10, 1), "{report}");
}

#[tokio::test]
async fn a_load_runs_on_a_thread_that_has_entered_elsewhere() {
    let address = server(|stream| answer_all(stream, OK)).await;
    let (entered, enters) = std::sync::mpsc::channel();
    let mix = Mix::new(address).clients(FLAT_OUT, 2, &page());
    let running = start_on_thread(mix.clone(), move || {
        entered.send(std::thread::current().id()).map_err(std::io::Error::other)
    })
    .unwrap();
    assert_ne!(enters.recv().unwrap(), std::thread::current().id());
    running.until_answered(100).await.unwrap();
    assert_eq!(running.stop().await.lost(), 0);

    let refused = start_on_thread(mix, || Err(std::io::ErrorKind::PermissionDenied.into()));
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn a_request_whose_runtime_ends_is_lost() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let short = runtime();
    let running = short.block_on(async {
        let (address, mut told, _release) = server_on_command().await;
        let running = start(Mix::new(address).clients(FLAT_OUT, 1, &page()));
        told.recv().await.unwrap();
        running
    });
    drop(short);
    let report = runtime().block_on(running.finish());
    assert_eq!((report.sent(), report.lost()), (1, 1));
    assert!(matches!(report.failures()[0].loss, Loss::Abandoned));
}

#[tokio::test]
async fn the_report_is_a_table_for_a_person_and_json_for_a_program() {
    let address = server(|stream| answer_all(stream, "HTTP/1.1 404 No\r\n\r\n")).await;
    let mix = Mix::new(address).clients(FLAT_OUT, 1, &page()).at_most(7);
    let report = start(mix).finish().await;
    let table = report.to_string();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows[0][..5], ["kind of client", "clients", "requests", "lost", "refused"]);
    assert_eq!(rows[1][..5], ["keep-alive, flat out", "1", "7", "7", "0"]);
    assert_eq!(rows[2][..5], ["all", "1", "7", "7", "0"]);
    assert!(table.contains("the answer's status is 404 Not Found, 200 OK was expected"), "{table}");
    assert!(table.ends_with("lost: 2 more"), "{table}");

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["total"]["lost"], 7);
    assert_eq!(json["kinds"][0]["kind"], "keep-alive, flat out");
    assert_eq!(json["kinds"][0]["sent"], 7);
    assert!(json["failures"][0]["since_start_ms"].is_number());
    assert!(json["failures"][0]["loss"].as_str().unwrap().contains("404"));
}

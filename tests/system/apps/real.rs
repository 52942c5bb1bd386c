//! Each real app is rolled under load without a loss, by swap and by restart.

use std::time::Duration;

use romuo::load::{Kind, Mix};

use super::app::{App, LARGE, clients, expect_no_reconnect, get, mixed};

/// Rolls the app by swap and by restart under the load of `mix`.
fn is_rolled_without_loss(app: &App, mix: &Mix) {
    let (mains, children) = (app.mains(), app.children());
    let load = app.load(mix.clone());
    let said = app.reload();
    let swapped = app.finish(load);
    expect_no_reconnect(&swapped);
    assert_eq!(app.mains(), mains, "the fronts stayed: {said}");
    expect_others(&children, &app.children(), &said);

    app.configure("\n[reload]\nmethod = \"restart\"\n");
    app.ctl(&["install-units"]).ok();
    let children = app.children();
    let load = app.load(mix.clone());
    let said = app.reload();
    app.finish(load);
    expect_others(&mains, &app.mains(), &said);
    expect_others(&children, &app.children(), &said);
}

/// Each has been replaced by another one.
fn expect_others<T: PartialEq + std::fmt::Debug>(before: &[T], after: &[T], said: &str) {
    let all = before.iter().zip(after).all(|(before, after)| before != after);
    assert!(all, "{before:?} became {after:?}: {said}");
}

#[test]
fn a_node_app_is_rolled_without_loss() {
    is_rolled_without_loss(&App::serving("node-http"), &mixed());
}

#[test]
fn an_express_app_started_by_npm_is_rolled_without_loss() {
    let app = App::serving("express");
    is_rolled_without_loss(&app, &mixed());
    let running = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"];
    let running = app.machine.run(&running).output.stdout;
    assert!(running.contains("node server.js"), "node itself runs: {running}");
    assert!(!running.contains("npm start"), "node itself runs, not npm: {running}");
}

#[test]
fn a_websocket_echo_is_rolled_without_losing_a_message() {
    let gap = |ms| Kind::WebSocket { gap: Duration::from_millis(ms) };
    let mix = clients(Kind::KeepAlive { gap: Duration::from_millis(20) }, 4)
        .clients(gap(50), 4, &get("/ws"))
        .clients(gap(500), 4, &get("/ws"));
    is_rolled_without_loss(&App::serving("ws"), &mix);
}

#[test]
fn an_event_stream_is_rolled_without_losing_an_event() {
    let mix = clients(Kind::KeepAlive { gap: Duration::from_millis(20) }, 4).clients(
        Kind::Events,
        8,
        &get("/events"),
    );
    is_rolled_without_loss(&App::serving("sse"), &mix);
}

#[test]
fn what_python_brings_along_is_rolled_without_loss() {
    is_rolled_without_loss(&App::serving("python-http"), &mixed());
}

#[test]
fn fastapi_on_uvicorn_is_rolled_without_loss() {
    is_rolled_without_loss(&App::serving("fastapi"), &mixed());
}

#[test]
fn flask_on_gunicorn_on_a_unix_socket_is_rolled_without_loss() {
    is_rolled_without_loss(&App::serving("flask"), &mixed());
}

#[test]
fn the_server_of_php_is_rolled_without_loss() {
    let app = App::boot("php");
    app.machine.sandbox.write("/srv/apps/php/public/large", vec![b'.'; LARGE]).unwrap();
    is_rolled_without_loss(&app.start(), &mixed());
}

#[test]
fn rack_on_puma_is_rolled_without_loss() {
    is_rolled_without_loss(&App::serving("puma"), &mixed());
}

#[test]
fn an_app_without_a_network_serves_and_nobody_gets_past_its_front() {
    let app = App::boot("node-http");
    app.configure("network = \"none\"\n");
    let app = app.start();
    is_rolled_without_loss(&app, &clients(Kind::KeepAlive { gap: Duration::from_millis(5) }, 8));
    // The private ports are on a loopback that nobody else has.
    let listening = app.machine.run(&["cat", "/proc/net/tcp"]).ok();
    let listeners = listening.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A"));
    assert_eq!(listeners.count(), 1, "{listening}");
}

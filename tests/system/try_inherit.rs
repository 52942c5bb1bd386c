use crate::machine::{Machine, wait, builder};
use std::time::Duration;
use http::uri::PathAndQuery;
use romuo::load::{Body, Kind, Mix, Request};
#[test]
fn try_servers() {
    let sandbox = builder().bind_read_only("/tmp/inherit-venv/lib/python3.11/site-packages", "/opt/site").bind_read_only("/tmp/inherit-try", "/srv/app").boot().unwrap();
    let machine = Machine { sandbox };
    let hello = Request::get(PathAndQuery::from_static("/")).expecting_body(Body::Exact("hello".into()));
    for command in [
        r#"["/usr/bin/puma", "--bind-to-activated-sockets", "only", "config.ru"]"#,
    ] {
        machine.configure(&format!("directory = \"/srv/app\"\ncommand = {command}\nmode = \"inherit\"\nlisten = [\"127.0.0.1:3000\"]\n[environment]\nPYTHONPATH = \"/opt/site\"\nHOME=\"/tmp\"\n"));
        machine.ctl(&["install-units"]).ok();
        let ran = machine.ctl(&["start"]);
        println!("== {command}: {}{}", ran.output.stdout, ran.output.stderr);
        if ran.output.code == Some(0) {
            for (name, kind) in [("keep 5ms", Kind::KeepAlive { gap: Duration::from_millis(5) }), ("keep 500ms", Kind::KeepAlive { gap: Duration::from_millis(500) }), ("new", Kind::NewConnection { gap: Duration::from_millis(5) })] {
                let load = machine.load(Mix::new(crate::machine::ADDRESS).clients(kind, 12, &hello));
                wait(load.until_each_answered(3)).unwrap();
                for _ in 0..4 {
                if machine.systemctl(&["restart", "romuo@1"]).output.code != Some(0) { println!("{}", machine.journal()); return; }
                machine.systemctl(&["restart", "romuo@2"]).ok();
                }
                wait(load.until_each_answered(1)).unwrap();
                let report = wait(load.stop());
                println!("{name}: {} lost of {}", report.lost(), report.sent());
            }
            println!("{}", machine.property("romuo@1.service", "Type"));
        }
        machine.ctl(&["stop"]).ok();
    }
    println!("{}", machine.journal().lines().rev().take(5).collect::<Vec<_>>().join("\n"));
}

//! Many real instances: what it takes to list and to roll them.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use romuo::sandbox::Sandbox;
use serde_json::Value;

/// Instances of the large app.
const MANY: usize = 200;

pub(crate) fn listed() -> Result<(), Box<dyn Error>> {
    println!("real instances, listed by `romuoctl status`");
    for count in [2, MANY] {
        let keys = format!("instances = {count}\n");
        let sandbox = crate::serving(&keys)?;
        sandbox.write(
            "/srv/site/romuo.toml",
            format!("{keys}{}[reload]\nmax_unavailable = \"25%\"\n", crate::CONFIG),
        )?;
        crate::ctl(&sandbox, &["install-units"])?;
        let (lists, all) = calls(&sandbox)?;
        let begun = Instant::now();
        crate::ctl(&sandbox, &["status"])?;
        let status = begun.elapsed();
        let outcome: Value =
            serde_json::from_str(&crate::ctl(&sandbox, &["reload", "-o", "json"])?)?;
        let rolled = outcome["rolled"].as_array().map_or(0, Vec::len);
        let took = outcome["took_ms"].as_f64().ok_or("no time")? / 1e3;
        println!(
            "  {count:3}: {lists} call for the list, {all} in all, {:.0} ms; a roll of {rolled} in batches of a quarter {took:.1} s",
            status.as_secs_f64() * 1e3
        );
        sandbox.shutdown()?;
    }
    Ok(())
}

/// How many calls of systemd a `romuoctl status` makes: for the list, and in all.
fn calls(sandbox: &Sandbox) -> Result<(usize, usize), Box<dyn Error>> {
    let mut command = sandbox.command("busctl");
    command.args(["monitor", "--match=type='method_call',destination='org.freedesktop.systemd1'"]);
    let mut monitor = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let counted = count(&mut monitor, sandbox);
    monitor.kill()?;
    monitor.wait()?;
    counted
}

fn count(monitor: &mut Child, sandbox: &Sandbox) -> Result<(usize, usize), Box<dyn Error>> {
    let lines = BufReader::new(monitor.stdout.take().ok_or("no output")?).lines();
    let mut lines = lines.map_while(Result::ok);
    // It listens once it has heard of a unit that nobody else asks for.
    let heard = &AtomicBool::new(false);
    thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let asking = scope.spawn(move || -> Result<(), String> {
            while !heard.load(Relaxed) {
                ask_for(sandbox, "begin.service").map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        let listens = lines.any(|line| line.contains("begin.service"));
        heard.store(true, Relaxed);
        asking.join().map_err(|_| "the thread that asks failed")??;
        if listens { Ok(()) } else { Err("nothing was heard".into()) }
    })?;
    ask_for(sandbox, "status.service")?;
    crate::ctl(sandbox, &["status"])?;
    ask_for(sandbox, "end.service")?;
    let between: Vec<String> = lines
        .skip_while(|line| !line.contains("status.service"))
        .take_while(|line| !line.contains("end.service"))
        .filter(|line| line.contains("Member="))
        .collect();
    let lists = between.iter().filter(|line| line.contains("ListUnitsByPatterns")).count();
    // The head of the last question is there, its body was not taken.
    Ok((lists, between.len().saturating_sub(1)))
}

fn ask_for(sandbox: &Sandbox, unit: &str) -> Result<(), Box<dyn Error>> {
    let manager = [
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
    ];
    let command = [&["busctl", "call"], &manager[..], &["LoadUnit", "s", unit]].concat();
    crate::execute(sandbox, &command).map(drop)
}

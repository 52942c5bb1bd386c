//! What happens at boot.

use std::path::Path;

use crate::machine::{CONFIG, Machine, PAGE, builder};

#[test]
fn an_installed_app_comes_up_at_boot_with_the_target() {
    // Installed into a folder, as an image is built; no systemd runs there.
    let image = tempfile::tempdir().unwrap();
    let site = image.path().join("srv/site");
    std::fs::create_dir_all(site.join("public")).unwrap();
    std::fs::write(site.join("public/index.html"), PAGE).unwrap();
    std::fs::write(site.join("romuo.toml"), CONFIG).unwrap();
    let root = image.path().to_str().unwrap();
    let config = site.join("romuo.toml");
    let programs = image.path().join("usr/local/bin");
    std::fs::create_dir_all(&programs).unwrap();
    for (name, from) in [
        ("romuoctl", env!("CARGO_BIN_EXE_romuoctl")),
        ("romuo-server", env!("CARGO_BIN_EXE_romuo-server")),
    ] {
        std::fs::copy(from, programs.join(name)).unwrap();
    }
    let installed = std::process::Command::new(programs.join("romuoctl"))
        .args(["--root", root, "-c", config.to_str().unwrap(), "install-units"])
        .output()
        .unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));

    let inside = |path: &str| image.path().join(path.trim_start_matches('/'));
    let machine = Machine {
        sandbox: builder()
            .bind(site, "/srv/site")
            .bind(inside("/etc/romuo"), "/etc/romuo")
            .bind(inside("/etc/systemd/system"), "/etc/systemd/system")
            .boot()
            .unwrap(),
    };
    assert_eq!(machine.status()["state"], "online");
    let page = machine.run(&["curl", "-sf", "http://127.0.0.1:3000/"]).ok();
    assert_eq!(page, PAGE);
    assert_eq!(machine.property("romuo.target", "ActiveState"), "active");
}

/// An app that says which version it is.
const SERVER: &str = "const http = require('http')
http.createServer((request, response) => response.end('one')).listen(process.env.PORT)
";

const SHOP: &str = "name = \"shop\"\ncommand = [\"node\", \"server.js\"]\n\
     listen = [\"127.0.0.1:3000\"]\n";

/// Boots the machine with this disk.
fn boot(disk: &Path) -> Machine {
    let folders = ["/srv/shop", "/etc/romuo", "/etc/systemd/system", "/var/lib/romuo"];
    let on_disk = |folder: &str| disk.join(folder.trim_start_matches('/'));
    let mut builder = builder();
    for folder in folders {
        std::fs::create_dir_all(on_disk(folder)).unwrap();
        builder = builder.bind(on_disk(folder), folder);
    }
    Machine { sandbox: builder.boot().unwrap() }
}

fn version(machine: &Machine, version: &str, settings: &str) {
    let write = |file: &str, text: &str| {
        machine.sandbox.write(format!("/srv/shop/{file}"), text).unwrap();
    };
    write("server.js", &SERVER.replace("'one'", &format!("'{version}'")));
    write("romuo.toml", &format!("{SHOP}{settings}"));
}

fn ctl(machine: &Machine, arguments: &[&str]) -> String {
    machine.run(&[&["env", "--chdir=/srv/shop", "romuoctl"], arguments].concat()).ok()
}

fn says(machine: &Machine) -> String {
    machine.run(&["curl", "-sS", "http://127.0.0.1:3000/"]).ok()
}

fn state(machine: &Machine) -> serde_json::Value {
    serde_json::from_str(&ctl(machine, &["status", "-o", "json"])).unwrap()
}

#[test]
fn a_boot_brings_back_the_releases_that_the_instances_are_pinned_to() {
    let disk = tempfile::tempdir().unwrap();
    let machine = boot(disk.path());
    version(&machine, "one", "");
    ctl(&machine, &["install-units", "--now"]);
    version(&machine, "two", "[deploy]\nwatch = \"0s\"\n");
    ctl(&machine, &["deploy"]);
    ctl(&machine, &["scale", "3"]);
    assert_eq!(says(&machine), "two");
    let current = state(&machine)["instances"][0]["release"].clone();
    assert!(current.is_string(), "{}", state(&machine));
    // What lies in the folder is not shipped yet, and nobody saved or set up anything.
    version(&machine, "three", "");
    machine.sandbox.shutdown().unwrap();

    let machine = boot(disk.path());
    let status = state(&machine);
    assert_eq!((status["state"].as_str(), says(&machine).as_str()), (Some("online"), "two"));
    let instances = status["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 3, "{status:#}");
    assert!(instances.iter().all(|one| one["release"] == current), "{status:#}");

    // The next deploy finds nothing in its way.
    version(&machine, "four", "[deploy]\nwatch = \"0s\"\n");
    ctl(&machine, &["deploy"]);
    assert_eq!(says(&machine), "four");
}

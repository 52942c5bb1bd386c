//! What happens at boot.

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

//! The packages that `scripts/package` makes, on a machine that has nothing else: as a newcomer installs them, and
//! as they are upgraded, removed and purged.

use std::path::Path;

use romuo::sandbox::Sandbox;

use crate::machine::{Machine, PAGE, timed};

/// The folder with the packages, inside.
const PACKAGES: &str = "/packages";

/// A booted machine without romuo, and with the packages.
fn bare() -> Machine {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/package");
    let sandbox =
        Sandbox::builder(env!("CARGO_BIN_EXE_romuoctl")).bind_read_only(packages, PACKAGES);
    let sandbox = sandbox.boot().unwrap_or_else(|error| panic!("{error}"));
    sandbox.write("/srv/shop/index.html", PAGE).unwrap();
    Machine { sandbox }
}

impl Machine {
    fn sh(&self, line: &str) -> String {
        let ran = self.run(&["sh", "-c", &format!("cd /srv/shop && {{ {line}; }} 2>&1")]);
        ran.ok()
    }

    fn serves(&self) -> bool {
        // A bare root has no curl.
        let get =
            "exec 3<>/dev/tcp/127.0.0.1/3000; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
        let ran = self.run(&["bash", "-c", get]);
        ran.output.stdout.ends_with(PAGE)
    }

    fn starts(&self) -> [String; 2] {
        [1, 2].map(|id| self.property(&format!("shop@{id}.service"), "InvocationID"))
    }
}

#[test]
#[ignore = "scripts/package --test builds what it installs"]
fn a_newcomer_installs_upgrades_removes_and_purges_the_deb() {
    let machine = bare();
    // The quick start, as the README has it.
    timed("from the package to a page", || {
        machine.sh(&format!("dpkg --install {PACKAGES}/romuo_*.deb"));
        println!(
            "{}",
            machine.sh("romuoctl init && romuoctl install-units --now && romuoctl deploy")
        );
        assert!(machine.serves());
    });
    let page = machine.sh("zcat /usr/share/man/man1/romuoctl-deploy.1.gz");
    assert!(page.contains("romuoctl"), "{page}");
    let completed = "_completer() { COMPLETE=bash _CLAP_COMPLETE_INDEX=2 romuoctl -- romuoctl status ''; }; \
                     _completer";
    assert!(machine.sh(completed).contains("shop"), "{}", machine.sh(completed));

    // The same version once more is an upgrade to dpkg: what runs goes on, and the way is named.
    let before = machine.starts();
    let said = machine.sh(&format!("dpkg --install {PACKAGES}/romuo_*.deb"));
    assert!(
        said.contains("romuoctl --app shop install-units && romuoctl --app shop reload"),
        "{said}"
    );
    assert_eq!(machine.starts(), before);
    assert!(machine.serves());
    machine.sh("romuoctl --app shop install-units && romuoctl --app shop reload");
    assert_ne!(machine.starts(), before);

    // Removed it serves no more, and comes back as it was.
    machine.sh("dpkg --remove romuo");
    assert!(!machine.serves());
    machine.sh(&format!("dpkg --install {PACKAGES}/romuo_*.deb && romuoctl --app shop start"));
    assert!(machine.serves());

    machine.sh("dpkg --purge romuo");
    assert!(!machine.serves());
    let left =
        "find /etc/systemd /etc/romuo /var/lib/romuo /run/romuo -name '*shop*' 2>/dev/null || true";
    assert_eq!(machine.sh(left), "");
    assert_eq!(machine.systemctl(&["list-units", "--all", "--no-legend", "shop*"]).ok(), "");
}

#[test]
#[ignore = "scripts/package --test builds what it installs"]
fn the_tarball_installs_and_removes_itself() {
    let machine = bare();
    machine.sh(&format!("tar --extract --file {PACKAGES}/romuo-*.tar.gz --directory /opt"));
    machine.sh("/opt/romuo-*/install.sh && romuoctl init && romuoctl install-units --now");
    assert!(machine.serves());
    let said = machine.sh("/opt/romuo-*/install.sh");
    assert!(said.contains("romuoctl --app shop reload"), "{said}");
    machine.sh("romuoctl uninstall-units --purge && /opt/romuo-*/install.sh --remove");
    assert_eq!(
        machine.sh("find /usr/local /var/lib/romuo -type f -name '*romuo*' 2>/dev/null || true"),
        ""
    );
}

#[test]
#[ignore = "scripts/package --test builds what it installs"]
fn a_purge_leaves_what_another_copy_runs() {
    let machine = bare();
    machine.sh(&format!("dpkg --install {PACKAGES}/romuo_*.deb"));
    machine.sh("romuoctl init && romuoctl install-units --now && dpkg --remove romuo");
    machine.sh(&format!("tar --extract --file {PACKAGES}/romuo-*.tar.gz --directory /opt"));
    machine.sh("/opt/romuo-*/install.sh && romuoctl install-units --now");
    assert!(machine.serves());
    let said = machine.sh("dpkg --purge romuo");
    assert!(said.contains("shop runs with /usr/local/bin/romuo-server"), "{said}");
    assert!(machine.serves());
    machine.sh("romuoctl status && romuoctl reload");
    let said = machine.sh("/opt/romuo-*/install.sh --remove");
    assert!(said.contains("stopping shop") && said.contains("removed romuo"), "{said}");
    assert!(!machine.serves());
}

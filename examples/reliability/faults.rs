//! The faults that a roll has to survive: what each is called, and what is promised.

use crate::stage::By;

/// Requests that the clients of the standard mix can have in hand at the same time: one each, and as
/// many as they have streams where they speak HTTP/2. An instance that is killed can lose no more.
pub(crate) const IN_HAND: u64 = 86;

/// One row of the matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What happens, for a person.
    pub(crate) what: &'static str,
    /// What is promised.
    pub(crate) promise: &'static str,
    /// The app that it happens to in the matrix.
    pub(crate) by: By,
    /// How many instances that app has.
    pub(crate) instances: u16,
    /// How it is brought about and judged.
    pub(crate) kind: Kind,
}

/// What is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    None,
    /// The client of the roll is killed.
    OperatorDies,
    /// The roll itself is killed.
    RollerDies,
    /// A command is run in mid-roll, which must not matter.
    Command(&'static [&'static str]),
    /// A file system is filled up in mid-roll.
    Full(&'static str),
    /// The last instance is killed in mid-roll.
    Crash,
    /// A request takes longer than `limits.stop_timeout`.
    Long,
    /// The last instance is stopped in mid-roll.
    StoppedByHand,
    /// The last instance is masked in mid-roll.
    Masked,
    /// A drop-in is written that systemd is not told of.
    Edited,
    /// The whole app is stopped in mid-roll.
    Stop,
    /// What is rolled out is broken.
    Release(Release),
    /// The roll is canceled.
    Cancel,
    /// Another roll is asked for meanwhile.
    Second,
    /// So it is, by someone who does not wait.
    NoWait,
}

/// How a release is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// It throws at boot.
    Throws,
    /// It never gets ready.
    Deaf,
    /// It answers 500 on its health path.
    Unwell,
}

impl Kind {
    /// How many requests may be lost; none: as many as come after the port has closed.
    pub(crate) fn may_lose(self) -> Option<u64> {
        match self {
            Self::Crash => Some(IN_HAND),
            Self::Stop => None,
            _ => Some(0),
        }
    }

    /// Whether the app serves afterwards, so that a soak can go on with the next one.
    pub(crate) fn ends_serving(self) -> bool {
        self != Self::Stop
    }
}

const fn fault(
    name: &'static str,
    (what, promise): (&'static str, &'static str),
    (by, instances): (By, u16),
    kind: Kind,
) -> Fault {
    Fault { name, what, promise, by, instances, kind }
}

/// The matrix.
pub(crate) const FAULTS: [Fault; 29] = [
    fault("none-by-swap", ("none, by swap", "nothing is lost"), (By::Swap, 2), Kind::None),
    fault("none-by-restart", ("none, by restart", "nothing is lost"), (By::Restart, 2), Kind::None),
    fault("none-site", ("none, of a static site", "nothing is lost"), (By::Site, 3), Kind::None),
    fault(
        "operator-dies",
        (
            "the session of the one who asked dies (`kill -9` of `romuoctl reload`)",
            "the roll goes on in its unit to its end",
        ),
        (By::Restart, 3),
        Kind::OperatorDies,
    ),
    fault(
        "roller-dies",
        (
            "the roll itself dies (`kill -9` of `romuoctl roll`)",
            "exit 1; the next `reload` says so and finishes it",
        ),
        (By::Restart, 3),
        Kind::RollerDies,
    ),
    fault(
        "daemon-reload",
        ("`systemctl daemon-reload` in mid-roll", "the roll goes on"),
        (By::Restart, 3),
        Kind::Command(&["systemctl", "daemon-reload"]),
    ),
    fault(
        "daemon-reexec",
        ("`systemctl daemon-reexec` in mid-roll", "the roll goes on"),
        (By::Restart, 3),
        Kind::Command(&["systemctl", "daemon-reexec"]),
    ),
    fault(
        "daemon-reexec-by-swap",
        ("the same, by swap", "the roll goes on"),
        (By::Swap, 3),
        Kind::Command(&["systemctl", "daemon-reexec"]),
    ),
    fault(
        "dbus-restart",
        ("dbus-daemon is restarted in mid-roll", "the roll goes on"),
        (By::Restart, 3),
        Kind::Command(&["systemctl", "restart", "dbus.service"]),
    ),
    fault(
        "journald-restart",
        ("systemd-journald is restarted in mid-roll", "the roll goes on"),
        (By::Restart, 3),
        Kind::Command(&["systemctl", "restart", "systemd-journald.service"]),
    ),
    fault(
        "run-full",
        ("/run is full in mid-roll", "the roll goes on, and says how it ended"),
        (By::Restart, 3),
        Kind::Full("/run"),
    ),
    fault(
        "run-full-by-swap",
        ("the same, by swap", "the roll goes on, and says how it ended"),
        (By::Swap, 3),
        Kind::Full("/run"),
    ),
    fault(
        "var-full",
        ("/var is full in mid-roll", "the roll goes on"),
        (By::Restart, 3),
        Kind::Full("/var"),
    ),
    fault(
        "instance-dies",
        (
            "an instance dies (`kill -9`) while another one is being restarted",
            "it loses at most what it had in hand; the roll goes on",
        ),
        (By::Restart, 3),
        Kind::Crash,
    ),
    fault(
        "long-request",
        (
            "a request takes longer than `limits.stop_timeout`",
            "it is cut off then, and no other; the roll goes on",
        ),
        (By::Restart, 2),
        Kind::Long,
    ),
    fault(
        "stopped-by-hand",
        ("an instance is stopped by hand in mid-roll", "it is left stopped; the rest is rolled"),
        (By::Restart, 3),
        Kind::StoppedByHand,
    ),
    fault(
        "masked",
        (
            "an instance is masked in mid-roll (`systemctl mask --runtime`)",
            "the roll halts there, exit 1; it serves on",
        ),
        (By::Restart, 3),
        Kind::Masked,
    ),
    fault(
        "edited-unit",
        (
            "a drop-in is written without `daemon-reload`",
            "a restart in the place of a swap, and the sentence says why",
        ),
        (By::Swap, 2),
        Kind::Edited,
    ),
    fault(
        "stop",
        (
            "`systemctl stop NAME.target` in mid-roll",
            "the stop wins: no answer is cut off, the port closes, nothing comes back up",
        ),
        (By::Restart, 3),
        Kind::Stop,
    ),
    fault(
        "release-throws-by-swap",
        ("a release that throws at boot, by swap", "the roll halts, exit 1; the old one serves on"),
        (By::Swap, 2),
        Kind::Release(Release::Throws),
    ),
    fault(
        "release-throws-by-restart",
        (
            "a release that throws at boot, by restart",
            "the roll halts, exit 1; the others serve on",
        ),
        (By::Restart, 3),
        Kind::Release(Release::Throws),
    ),
    fault(
        "release-not-ready-by-swap",
        (
            "a release that never gets ready, by swap",
            "the roll halts, exit 1; the old one serves on",
        ),
        (By::Swap, 2),
        Kind::Release(Release::Deaf),
    ),
    fault(
        "release-not-ready-by-restart",
        (
            "a release that never gets ready, by restart",
            "the roll halts, exit 1; the others serve on",
        ),
        (By::Restart, 3),
        Kind::Release(Release::Deaf),
    ),
    fault(
        "release-not-ready-site",
        (
            "a server of a static site that never gets ready",
            "the roll halts, exit 1; the others serve on",
        ),
        (By::Site, 2),
        Kind::Release(Release::Deaf),
    ),
    fault(
        "release-unwell-by-swap",
        (
            "a release that answers 500 on its health path, by swap",
            "the roll halts, exit 1; the old one serves on",
        ),
        (By::Swap, 2),
        Kind::Release(Release::Unwell),
    ),
    fault(
        "release-unwell-by-restart",
        (
            "a release that answers 500 on its health path, by restart",
            "the roll halts, exit 1; the others serve on",
        ),
        (By::Restart, 3),
        Kind::Release(Release::Unwell),
    ),
    fault(
        "cancel",
        (
            "`romuoctl reload --cancel` in mid-roll",
            "the instance at hand is finished, the rest is not touched; exit 1",
        ),
        (By::Restart, 3),
        Kind::Cancel,
    ),
    fault(
        "second-reload",
        ("a second `romuoctl reload` in mid-roll", "it waits, and both end well"),
        (By::Restart, 3),
        Kind::Second,
    ),
    fault(
        "no-wait",
        (
            "a second `romuoctl reload --no-wait` in mid-roll",
            "it fails at once, exit 1, and says who rolls; the first one ends well",
        ),
        (By::Swap, 3),
        Kind::NoWait,
    ),
];

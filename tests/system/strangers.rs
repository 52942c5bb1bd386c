//! A user of the machine who has nothing to do with the app, and holds whatever he may open.

use crate::machine::{Machine, Ran};

/// Opens and locks every file and folder that it may, below the folders that it is given, in every way
/// that there is (`exclusive`) or with all others (`shared`), and connects to every socket. It goes round
/// and round, since more of them come, and says after the first time how many it has.
const STRANGER: &str = "import fcntl, os, socket, stat, sys, time
how, roots = sys.argv[1], sys.argv[2:]
first = fcntl.LOCK_EX if how == 'exclusive' else fcntl.LOCK_SH
held = {}
def hold(path):
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) in held: return
        if stat.S_ISSOCK(found.st_mode):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
                end = socket.socket(socket.AF_UNIX, kind)
                end.setblocking(False)
                try:
                    end.connect(path)
                    held[found.st_dev, found.st_ino] = end
                except OSError: pass
            return
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError: return
    found = os.fstat(file)
    if (found.st_dev, found.st_ino) in held: return os.close(file)
    held[found.st_dev, found.st_ino] = file
    for lock, wish in ((fcntl.flock, first), (fcntl.flock, fcntl.LOCK_SH), (fcntl.lockf, fcntl.LOCK_SH)):
        try: lock(file, wish | fcntl.LOCK_NB)
        except OSError: continue
        if lock is fcntl.flock and wish == first == fcntl.LOCK_EX: break
    try: fcntl.fcntl(file, 1024, fcntl.F_RDLCK)
    except OSError: pass
while True:
    for root in roots:
        hold(root)
        for folder, folders, files in os.walk(root):
            for name in folders + files: hold(os.path.join(folder, name))
    if how:
        print(len(held), flush=True)
        how = ''
    time.sleep(.02)
";

/// Where romuo keeps anything.
const WHERE: [&str; 7] = [
    "/etc/romuo",
    "/run/romuo",
    "/var/lib/romuo",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/srv/shop",
    "/tmp",
];

/// The locks of an older version, which everybody could open.
const OLDER: &str = "for lock in /run/romuo/shop.roll.lock /var/lib/romuo/shop/deploy.lock \
     /var/lib/romuo/shop/releases.json.lock; do rm -f $lock; : >$lock; chmod 644 $lock; done";

const CONFIG: &str = "name = \"shop\"\ncommand = [\"python3\", \"server.py\"]\n\
     listen = [\"127.0.0.1:3000\"]\n[deploy]\nwatch = \"0s\"\n";

/// An app that takes its port from the environment.
const APP: &str = "import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
";

/// Runs a verb in the app's folder; one that is held up is ended, and fails.
fn ctl(machine: &Machine, arguments: &[&str]) -> Ran {
    let start = ["timeout", "--verbose", "100", "env", "--chdir=/srv/shop", "romuoctl"];
    machine.run(&[&start, arguments].concat())
}

fn everything_works_while_a_stranger_holds(how: &str) {
    let machine = Machine::boot();
    machine.sandbox.write("/srv/shop/server.py", APP).unwrap();
    machine.sandbox.write("/srv/shop/romuo.toml", CONFIG).unwrap();
    ctl(&machine, &["install-units", "--now"]).ok();
    ctl(&machine, &["deploy"]).ok();
    machine.run(&["sh", "-c", OLDER]).ok();

    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c"];
    let command = [&nobody, &[STRANGER, how][..], &WHERE].concat();
    let (mut stranger, count) = machine.spawn_until_heard(&command);
    assert!(count.trim().parse::<usize>().unwrap() > WHERE.len(), "{how}: it holds {count:?}");

    machine.sandbox.write("/srv/shop/more.txt", "more").unwrap();
    ctl(&machine, &["deploy"]).ok();
    ctl(&machine, &["reload"]).ok();
    ctl(&machine, &["scale", "3"]).ok();
    ctl(&machine, &["scale", "2"]).ok();
    ctl(&machine, &["rollback"]).ok();
    ctl(&machine, &["install-units", "--force"]).ok();
    ctl(&machine, &["uninstall-units"]).ok();
    ctl(&machine, &["install-units", "--now"]).ok();
    // He was there all the time.
    assert!(stranger.try_wait().unwrap().is_none());
    let locks = "find /run/romuo /var/lib/romuo /etc/romuo -name '*.lock' -perm /077";
    assert_eq!(machine.run(&["sh", "-c", locks]).ok(), "");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn everything_works_while_a_stranger_holds_whatever_he_may_open() {
    everything_works_while_a_stranger_holds("exclusive");
}

#[test]
fn everything_works_while_a_stranger_shares_whatever_he_may_open() {
    everything_works_while_a_stranger_holds("shared");
}

#[test]
fn who_is_waited_for_is_named() {
    let machine = Machine::serving("");
    let hold = "umask 077; exec flock $0 sh -c 'echo taken; exec sleep infinity'";
    let lock = "/etc/romuo/.install.lock";
    let (mut holder, _) = machine.spawn_until_heard(&["sh", "-c", hold, lock]);
    let said = machine.ctl(&["install-units", "--force"]).exits(1).stderr;
    for part in
        ["another romuoctl is changing what is installed in /etc/romuo: process ", "of root"]
    {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
}

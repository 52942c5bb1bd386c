//! Reads `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).

use std::path::PathBuf;

/// One mount: the parts of its line that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// The folder of the file system that is mounted.
    pub(super) root: PathBuf,
    /// Where it is mounted.
    pub(super) point: PathBuf,
    /// The file system type.
    pub(super) kind: String,
    /// The options of the file system (for v1 cgroups: the controllers).
    pub(super) options: String,
}

pub(super) fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let mut file_system = file_system.split(' ');
    Some(Mount {
        root: unescape(mount.next()?),
        point: unescape(mount.next()?),
        kind: file_system.next()?.to_owned(),
        options: file_system.nth(1)?.to_owned(),
    })
}

/// Blanks, tabs, newlines and backslashes stand there as `\040` and the like.
fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => plain.push_str(part),
        }
    }
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_blanks_is_read() {
        let text =
            "36 35 98:0 /mnt\\0401 /a\\040b rw,noatime master:1 - cgroup none rw,cpu,cpuacct";
        let mount = Mount {
            root: "/mnt 1".into(),
            point: "/a b".into(),
            kind: "cgroup".into(),
            options: "rw,cpu,cpuacct".into(),
        };
        assert_eq!(parse(text), [mount]);
    }
}

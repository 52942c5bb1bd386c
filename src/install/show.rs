//! A plan as text: one line a change for `--dry-run`, a unified diff for `--diff`.

use std::fmt;

use similar::TextDiff;

use super::plan::{Change, Plan};

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.path().display();
        match self {
            Self::Create { mode, .. } => write!(f, "create {at} (mode {mode:04o})"),
            Self::Update { .. } => write!(f, "update {at}"),
            Self::Mode { from, to, .. } => write!(f, "change mode of {at}: {from:04o} -> {to:04o}"),
            Self::Link { target, .. } => write!(f, "link {at} -> {}", target.display()),
            Self::Unlink { .. } => write!(f, "unlink {at}"),
            Self::Remove { .. } => write!(f, "remove {at}"),
            Self::RemoveFolder { .. } => write!(f, "remove folder {at}"),
        }
    }
}

impl fmt::Display for Plan {
    /// One line a change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl Plan {
    /// What changes in the texts, as a unified diff; what is no text as a comment line.
    #[must_use]
    pub fn diff(&self) -> String {
        self.changes.iter().map(Change::diff).collect()
    }
}

impl Change {
    fn diff(&self) -> String {
        let at = self.path().display().to_string();
        let (old, new, from, to) = match self {
            Self::Create { text, .. } => ("", text.as_str(), "/dev/null", at.as_str()),
            Self::Update { old, text, .. } => (old.as_str(), text.as_str(), at.as_str(), &*at),
            Self::Remove { old, .. } => (old.as_str(), "", at.as_str(), "/dev/null"),
            other => return format!("# {other}\n"),
        };
        TextDiff::from_lines(old, new).unified_diff().header(from, to).to_string()
    }
}

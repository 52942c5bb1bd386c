//! Finding things in a line of text.

/// A line, without what programs put before it for terminals.
pub(super) struct Line<'a>(&'a str);

/// What stands around words of a message: quotes of all kinds, brackets, punctuation.
const AROUND: &[char] =
    &['\'', '"', '`', '\u{2018}', '\u{2019}', '(', ')', '[', ']', ',', ':', ';', '<', '>'];

const QUOTES: &[char] = &['\'', '"', '`', '\u{2018}', '\u{2019}'];

impl<'a> Line<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.trim())
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.0.contains(part)
    }

    pub(super) fn has_any(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.has(part))
    }

    pub(super) fn begins_with(&self, part: &str) -> bool {
        self.0.starts_with(part)
    }

    /// Whether a shell says it: `sh: 1: node: not found`, `/bin/bash: line 1: node: command ...`.
    pub(super) fn is_shell(&self) -> bool {
        let speaker = self.0.split(':').next().unwrap_or_default();
        let name = speaker.rsplit('/').next().unwrap_or_default();
        matches!(name, "sh" | "bash" | "dash" | "zsh" | "ash")
            || self.0.ends_with("command not found")
    }

    /// What follows `begin` between quotes.
    pub(super) fn quoted_after(&self, begin: &str) -> Option<String> {
        let rest = self.0.split_once(begin)?.1.strip_prefix(QUOTES)?;
        let end = rest.find(QUOTES)?;
        some(&rest[..end])
    }

    /// The word that follows `begin`.
    pub(super) fn word_after(&self, begin: &str) -> Option<String> {
        let word = self.0.split_once(begin)?.1.split_whitespace().next()?;
        some(word.trim_matches(AROUND))
    }

    /// The absolute path that follows `begin`, to the next colon.
    pub(super) fn path_after(&self, begin: &str) -> Option<String> {
        let rest = self.0.split_once(begin)?.1;
        let path = rest.split(": ").next()?.trim();
        path.starts_with('/').then(|| path.to_owned())
    }

    /// The path that the message is about. Absolute paths count only, but for what is clearly said.
    pub(super) fn path(&self) -> Option<String> {
        // Ruby: "/app/x.rb:3:in 'initialize': Read-only file system @ rb_sysopen - log/x (Errno::EROFS)".
        if let Some((_, rest)) = self.0.split_once(" @ ") {
            let path = rest.split_once(" - ")?.1;
            return some(path.split(" (").next().unwrap_or(path).trim());
        }
        // Node and Python quote it; what is quoted may hold blanks.
        let mut rest = self.0;
        while let Some(begin) = rest.find(QUOTES) {
            let inside = rest[begin..].trim_start_matches(QUOTES);
            let Some(end) = inside.find(QUOTES) else { break };
            if inside[..end].contains('/') {
                return some(&inside[..end]);
            }
            rest = inside[end..].trim_start_matches(QUOTES);
        }
        // Go, PHP, Java, a shell: the first that looks like one.
        let words = self.0.split(|c: char| c.is_whitespace() || AROUND.contains(&c));
        words.filter(|word| word.len() > 1 && word.starts_with('/')).find_map(some)
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

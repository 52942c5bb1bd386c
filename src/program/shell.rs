//! Reading a line of shell, as far as it is one command that can be run without a shell.

use std::fmt;

use crate::config::is_variable_name;

/// One command without anything that only a shell could do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Simple {
    /// The assignments before it.
    pub(crate) environment: Vec<(String, String)>,
    /// Its words, without their quotes.
    pub(crate) words: Vec<String>,
    /// The port that it takes where `PORT` is not set: 3000 of `${PORT:-3000}`.
    pub(crate) port: Option<u16>,
}

/// Why a line needs a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complex {
    /// `a && b`, `a | b`, `a &`.
    Several,
    /// `> file`, `< file`.
    Redirect,
    /// `$NAME`, `$(command)`.
    Expansion(String),
    /// `*.js`, `~/x`.
    Pattern,
    /// `cd`, `source`, `if`.
    Builtin(String),
    /// A quote without its end.
    Quote,
    /// No command.
    Empty,
}

impl fmt::Display for Complex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Several => f.write_str("it runs several commands"),
            Self::Redirect => f.write_str("it redirects its input or output"),
            Self::Expansion(what) => write!(f, "only a shell can expand {what}"),
            Self::Pattern => f.write_str("only a shell can expand its pattern"),
            Self::Builtin(word) => write!(f, "`{word}` is a command of the shell"),
            Self::Quote => f.write_str("a quote in it has no end"),
            Self::Empty => f.write_str("it has no command"),
        }
    }
}

/// Words that are no program: reserved words and built-in commands (POSIX.1-2017 XCU 2.4, 2.14).
const BUILTINS: [&str; 31] = [
    ".", ":", "!", "{", "alias", "case", "cd", "eval", "exit", "export", "for", "function", "if",
    "pushd", "read", "return", "set", "shift", "source", "time", "trap", "ulimit", "umask",
    "unset", "until", "wait", "while", "[[", "bg", "fg", "command",
];

/// Reads `text` as one command. `$PORT` and `$HOST` become `{port}` and `{host}`.
pub(crate) fn read(text: &str) -> Result<Simple, Complex> {
    let mut simple = Simple::default();
    let mut rest = Chars::new(text.trim());
    while let Some((word, quoted)) = rest.word()? {
        let assignment = word.split_once('=').filter(|(name, _)| is_variable_name(name));
        match assignment {
            Some((name, value)) if simple.words.is_empty() => {
                simple.environment.push((name.into(), value.into()));
            }
            _ if simple.words.is_empty() && !quoted && word == "exec" => {}
            _ if simple.words.is_empty() && !quoted && BUILTINS.contains(&&*word) => {
                return Err(Complex::Builtin(word));
            }
            _ => simple.words.push(word),
        }
    }
    simple.port = rest.port;
    if simple.words.is_empty() { Err(Complex::Empty) } else { Ok(simple) }
}

struct Chars<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    /// The port that stands behind a `PORT` for where it is not set.
    port: Option<u16>,
}

impl<'a> Chars<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), port: None }
    }

    /// The next word, and whether any of it was quoted; none: that was the last.
    fn word(&mut self) -> Result<Option<(String, bool)>, Complex> {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let (mut word, mut quoted, mut begun) = (String::new(), false, false);
        while let Some(c) = self.rest.next_if(|c| !matches!(c, ' ' | '\t')) {
            match c {
                '\'' => self.single(&mut word)?,
                '"' => self.double(&mut word)?,
                '\\' => word.push(self.rest.next().ok_or(Complex::Quote)?),
                '$' | '`' => word.push_str(&self.expansion(c)?),
                '|' | '&' | ';' | '\n' | '(' | ')' => return Err(Complex::Several),
                '<' | '>' => return Err(Complex::Redirect),
                '*' | '?' | '[' => return Err(Complex::Pattern),
                '~' | '#' if !begun => return Err(Complex::Pattern),
                '{' if self.is_brace_expansion() => return Err(Complex::Pattern),
                other => word.push(other),
            }
            quoted |= matches!(c, '\'' | '"' | '\\');
            begun = true;
        }
        Ok(begun.then_some((word, quoted)))
    }

    fn single(&mut self, word: &mut String) -> Result<(), Complex> {
        loop {
            match self.rest.next().ok_or(Complex::Quote)? {
                '\'' => return Ok(()),
                c => word.push(c),
            }
        }
    }

    fn double(&mut self, word: &mut String) -> Result<(), Complex> {
        loop {
            match self.rest.next().ok_or(Complex::Quote)? {
                '"' => return Ok(()),
                c @ ('$' | '`') => word.push_str(&self.expansion(c)?),
                '\\' => match self.rest.next().ok_or(Complex::Quote)? {
                    c @ ('$' | '`' | '"' | '\\') => word.push(c),
                    c => word.extend(['\\', c]),
                },
                c => word.push(c),
            }
        }
    }

    /// `$PORT`, `${PORT}` and `${PORT:-3000}` as `{port}`, the same with HOST.
    fn expansion(&mut self, sign: char) -> Result<String, Complex> {
        if sign == '`' || self.rest.peek() == Some(&'(') {
            return Err(Complex::Expansion("a command in it".into()));
        }
        let braced = self.rest.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        if braced {
            let rest: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != '}')).collect();
            if self.rest.next().is_none() {
                return Err(Complex::Quote);
            }
            if !rest.is_empty() && !rest.starts_with(":-") && !rest.starts_with('-') {
                return Err(Complex::Expansion(format!("${{{name}{rest}}}")));
            }
            let other = rest.trim_start_matches([':', '-']).parse().ok().filter(|port| *port > 0);
            self.port = self.port.or(other.filter(|_| name == "PORT"));
        }
        match &*name {
            "PORT" => Ok("{port}".into()),
            "HOST" => Ok("{host}".into()),
            "" => Ok("$".into()).and_then(|sign: String| match self.rest.peek() {
                None | Some(' ' | '\t' | '"') => Ok(sign),
                Some(c) => Err(Complex::Expansion(format!("${c}"))),
            }),
            _ => Err(Complex::Expansion(format!("${name}"))),
        }
    }

    /// Whether what follows a brace makes several words of one: `{a,b}`, `{1..3}`.
    fn is_brace_expansion(&self) -> bool {
        let inside: String = self.rest.clone().take_while(|c| !matches!(c, '}' | ' ')).collect();
        inside.contains(',') || inside.contains("..")
    }
}

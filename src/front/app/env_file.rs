//! A file of variables (`.env`). Pure.
//!
//! It has no standard. What dotenv, Docker's `--env-file` and Compose, and `EnvironmentFile=`
//! (systemd.exec(5)) agree on is read as they do; where they differ, a file that works with one of them
//! for its own reasons keeps its meaning as far as it can:
//!
//! - a line is `KEY=value`, with or without `export`; blanks around the key and the value are none of it;
//! - what begins with `#` or `;` is a comment, and so is what follows a blank and `#` behind a value that
//!   is not quoted;
//! - quotes may span lines. In single ones all is as it stands; in double ones `\n`, `\r` and `\t` are
//!   what they are elsewhere, and `\` takes their meaning from `"`, `\`, `` ` `` and `$`. Any other
//!   backslash stays: a pattern or a path of Windows needs no second one;
//! - nothing is expanded.

/// The variables of such a file, in order. What is no such line is passed over.
pub(crate) fn read(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // What some editors begin a file with.
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let here = rest;
        let (line, after) = here.split_once('\n').unwrap_or((here, ""));
        rest = after;
        let Some((name, value)) = split(line) else { continue };
        // The value and all lines behind it.
        let from = here.get(line.len() - value.len()..).unwrap_or_default();
        let from = from.trim_start_matches([' ', '\t']);
        let value = match unquote(from) {
            Some((value, used)) => {
                // The rest of the line behind the quotes is a comment, or a mistake.
                let behind = from.get(used..).unwrap_or_default();
                rest = behind.split_once('\n').map_or("", |(_, lines)| lines);
                value
            }
            None => plain(value).to_owned(),
        };
        // No variable can hold it (environ(7)).
        if !value.contains('\0') {
            found.push((name.to_owned(), value));
        }
    }
    found
}

/// Name and value of a line.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let (name, value) = exported.unwrap_or(line).split_once('=')?;
    let name = name.trim();
    // Dots and dashes: programs in Java and in .NET ask for such names.
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (!name.is_empty() && name.chars().all(in_name)).then_some((name, value))
}

/// A value that is not quoted, without the comment behind it.
fn plain(text: &str) -> &str {
    let comment = text.char_indices().find(|(at, c)| {
        *c == '#' && text.get(..*at).is_some_and(|text| text.ends_with([' ', '\t']))
    });
    comment.and_then(|(at, _)| text.get(..at)).unwrap_or(text).trim()
}

/// The value within the quotes that a text begins with, and how many bytes they are with it; none: there
/// are no quotes, or they have no end and are a part of the value.
fn unquote(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    if !matches!(quote, '"' | '\'') {
        return None;
    }
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, at + quote.len_utf8())),
            // The line ends of Windows are line ends.
            '\r' if text.get(at..).is_some_and(|text| text.starts_with("\r\n")) => {}
            '\\' if quote == '"' => match chars.next()? {
                (at, '\r') if text.get(at..).is_some_and(|text| text.starts_with("\r\n")) => {
                    value.push('\\');
                }
                (_, 'n') => value.push('\n'),
                (_, 'r') => value.push('\r'),
                (_, 't') => value.push('\t'),
                (_, c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                (_, c) => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn expect(text: &str, wanted: &[(&str, &str)]) {
        let pairs = read(text);
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, wanted);
    }

    #[test]
    fn lines_are_read_whatever_stands_around_them() {
        let text = "\u{feff}# comment\r\n\r\n; comment\nA=b\r\nexport C = d e \nexported=1\n\tD=\nE=f=g\n\
                    not a line\n=x\n9=y\nspring.url=z\nB C=x\nlast=1";
        let wanted = [
            ("A", "b"),
            ("C", "d e"),
            ("exported", "1"),
            ("D", ""),
            ("E", "f=g"),
            ("9", "y"),
            ("spring.url", "z"),
            ("last", "1"),
        ];
        expect(text, &wanted);
    }

    #[test]
    fn a_comment_behind_a_value_needs_a_blank_before_it() {
        expect(
            "A=m # n\nB=p#q\nC=\t# n\nD=#abc\n",
            &[("A", "m"), ("B", "p#q"), ("C", ""), ("D", "#abc")],
        );
        expect("A='m' # n\nB=\"m # n\" # o\n", &[("A", "m"), ("B", "m # n")]);
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        expect(r#"A="f \"g\" \\ \$h\n\ti""#, &[("A", "f \"g\" \\ $h\n\ti")]);
        expect(r#"A="C:\dir \d+""#, &[("A", r"C:\dir \d+")]);
        expect(r"A=' k \n $x '", &[("A", r" k \n $x ")]);
        expect(r"A=C:\new", &[("A", r"C:\new")]);
        expect("A=\"\"\nB=''\nC='it' 's'\n", &[("A", ""), ("B", ""), ("C", "it")]);
    }

    #[test]
    fn a_key_of_several_lines_is_one_value() {
        let wanted = [("KEY", "-----BEGIN\nabc=\n# d\n-----END\n"), ("B", "1")];
        expect("KEY=\"-----BEGIN\nabc=\n# d\n-----END\n\"\nB=1\n", &wanted);
        expect("KEY='-----BEGIN\r\nabc=\r\n# d\r\n-----END\r\n' # e\r\nB=1", &wanted);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_a_part_of_its_line() {
        expect("A=\"open\nB=it's\nC='\n", &[("A", "\"open"), ("B", "it's"), ("C", "'")]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            for (name, value) in read(&text) {
                prop_assert!(!name.is_empty() && !value.contains('\0'));
            }
        }

        #[test]
        fn what_is_quoted_is_read_back(value in "[ -~\n\té]{0,40}", after in "[A-Z]{1,3}=[a-z]{0,3}") {
            let escaped: String = value
                .chars()
                .flat_map(|c| matches!(c, '"' | '\\' | '$' | '`').then_some('\\').into_iter().chain([c]))
                .collect();
            let read = read(&format!("A=\"{escaped}\"\n{after}\n"));
            prop_assert_eq!(&read[0], &("A".to_owned(), value));
            prop_assert_eq!(read.len(), 2);
        }
    }
}

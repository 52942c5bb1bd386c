//! The `env_file`: lines of `KEY=value`, as dotenv, docker and `EnvironmentFile=` (systemd.exec(5))
//! read them. Pure.
//!
//! Where the three differ, it is read as dotenv does, for it is mostly a `.env`: a comment may follow a
//! value that is not quoted, quoted values may have several lines (keys in PEM have), and in double
//! quotes `\n` is a line end. Nothing is filled in: `$` is a character like others.

/// What a byte order mark, which some editors begin a file with, looks like.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The variables of a file. What is no such line is passed over.
pub(super) fn read(text: &str) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    while !rest.is_empty() {
        let (variable, after) = read_one(rest);
        variables.extend(variable);
        rest = after;
    }
    variables
}

/// The variable in the first line, if one is in it, and what comes after it.
fn read_one(text: &str) -> (Option<(String, String)>, &str) {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let Some((name, value)) = line.split_once('=').filter(|_| !is_comment(line)) else {
        return (None, after);
    };
    let name = name.trim();
    let name = name.strip_prefix("export").filter(|it| it.starts_with([' ', '\t'])).unwrap_or(name);
    let name = name.trim_start();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name || value.contains('\0') {
        return (None, after);
    }
    // A quoted value goes on to its quote, over lines if need be.
    let from_value = text[line.len() - value.len()..].trim_start_matches([' ', '\t']);
    let (value, after) = match quoted(from_value) {
        Some((value, rest)) => (value, rest.split_once('\n').map_or("", |(_, after)| after)),
        None => (plain(value), after),
    };
    (Some((name.into(), value)), after)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// A value that is not quoted.
fn plain(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('#') {
        return String::new();
    }
    let mut spaces = text.match_indices([' ', '\t']).map(|(at, _)| at);
    let end = spaces.find(|at| text[*at..].trim_start().starts_with('#'));
    text[..end.unwrap_or(text.len())].trim_end().to_owned()
}

/// The value between the quotes that the text begins with, and what follows them. None: there are no
/// quotes, or only one, which is a part of the value then.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|first| ['\'', '"'].contains(first))?;
    let inside = &text[1..];
    let mut value = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return (!value.contains('\0')).then(|| (value, &inside[at + 1..]));
        }
        if c == '\r' && inside[at + 1..].starts_with('\n') {
            continue;
        }
        if c != '\\' || quote == '\'' {
            value.push(c);
            continue;
        }
        match chars.next()?.1 {
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            kept @ ('"' | '\\' | '$' | '`') => value.push(kept),
            other => value.extend(['\\', other]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expect(text: &str, wanted: &[(&str, &str)]) {
        let read = read(text);
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, wanted, "{text:?}");
    }

    #[test]
    fn lines_are_read_as_others_read_them() {
        expect("A=b\nEMPTY=\n\nC = d e \n", &[("A", "b"), ("EMPTY", ""), ("C", "d e")]);
        expect(
            "export A=b\nexport\tB=c\nexported=d\n",
            &[("A", "b"), ("B", "c"), ("exported", "d")],
        );
        expect("A=b\r\nC=d\r\n", &[("A", "b"), ("C", "d")]);
        expect("\u{feff}A=b", &[("A", "b")]);
        expect("URL=postgres://u:p@h/d?x=1&y=$z", &[("URL", "postgres://u:p@h/d?x=1&y=$z")]);
    }

    #[test]
    fn comments_are_left_out_and_other_hashes_are_not() {
        expect(
            "# A=b\n  ; C=d\nE=f # g=h\nI=j#k\nL=m  n\t# o\nP= # q\nR=#s",
            &[("E", "f"), ("I", "j#k"), ("L", "m  n"), ("P", ""), ("R", "")],
        );
        expect("A='b # c' # d\nE=\"f # g\"# h\nI=j", &[("A", "b # c"), ("E", "f # g"), ("I", "j")]);
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        expect(r#"A="b c " "#, &[("A", "b c ")]);
        expect(r#"A="say \"hi\"\n\$x \\ ^\d+$""#, &[("A", "say \"hi\"\n$x \\ ^\\d+$")]);
        expect(r"A='it\n\d \'", &[("A", r"it\n\d \")]);
        expect(r#"A={"b": "c"}"#, &[("A", r#"{"b": "c"}"#)]);
        expect("A=it's\nB=\"open\nC=d", &[("A", "it's"), ("B", "\"open"), ("C", "d")]);
    }

    #[test]
    fn a_quoted_value_may_have_several_lines() {
        let key = "KEY=\"-----BEGIN KEY-----\r\nabc==\r\n-----END KEY-----\"\r\nA='b\nc'\nD=e";
        expect(
            key,
            &[("KEY", "-----BEGIN KEY-----\nabc==\n-----END KEY-----"), ("A", "b\nc"), ("D", "e")],
        );
    }

    #[test]
    fn what_is_no_variable_is_passed_over() {
        expect("just text\n=x\na-b=c\na b=c\nN=nul\0\nM=\"nul\0\"\nA=b", &[("A", "b")]);
    }

    proptest! {
        #[test]
        fn any_text_gives_variables_that_a_process_can_have(text in ".*|[A-C=\"'\\\\ #\n\r]*") {
            for (name, value) in read(&text) {
                prop_assert!(!name.is_empty() && !name.contains(['=', '\0']));
                prop_assert!(!value.contains('\0'));
            }
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^\0\r]*") {
            let mut escaped = String::new();
            for c in value.chars() {
                if ['"', '\\', '$', '`'].contains(&c) { escaped.push('\\') }
                escaped.push(c);
            }
            let text = format!("A=\"{escaped}\"\nB=c");
            prop_assert_eq!(read(&text), [("A".to_owned(), value), ("B".into(), "c".into())]);
        }
    }
}

//! The variables of an app as a file for `EnvironmentFile=` (systemd.exec(5)).
//!
//! Not as `Environment=`: what stands in a unit is for everybody to see, in the file and in
//! `systemctl show`.

use std::fmt::Write as _;

use super::RenderError;
use super::inherit::becomes_program;
use super::text::is_noncharacter;
use crate::config::{Mode, Settings, is_variable_name};

/// The text of the file; none: there are no variables, or systemd does not start the app itself: a front
/// does, or romuo-server, which becomes the program.
///
/// # Errors
/// Where systemd would drop a variable: it only logs that.
pub(super) fn file(settings: &Settings) -> Result<Option<String>, RenderError> {
    let program = settings.program_in(Mode::Inherit);
    let program = program.filter(|program| !becomes_program(settings, program));
    let Some(program) = program.filter(|program| !program.environment.is_empty()) else {
        return Ok(None);
    };
    let mut text = String::new();
    for (name, value) in &program.environment {
        if let Some(problem) = problem(name, value) {
            return Err(RenderError::Variable { name: name.clone(), problem });
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}={}", quoted(value));
    }
    Ok(Some(text))
}

/// Why systemd would not hand over this variable (its `env_name_is_valid` and
/// `env_value_is_valid`).
fn problem(name: &str, value: &str) -> Option<&'static str> {
    if !is_variable_name(name) {
        return Some("its name may hold letters, digits and `_` only, and no digit first");
    }
    let control = |c: char| c.is_ascii_control() && c != '\n' && c != '\t';
    if value.contains(control) {
        return Some("its value holds a control character");
    }
    if value.contains(|c| is_noncharacter(c) || c == '\u{feff}') {
        return Some("its value holds a code that is no character");
    }
    None
}

/// In double quotes, within which a backslash keeps what a shell would expand.
fn quoted(value: &str) -> String {
    let mut text = String::from('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Program;

    fn with(environment: &[(&str, &str)], mode: Mode) -> Settings {
        let mut settings = Settings::new("shop".parse().unwrap(), "/srv/shop".into());
        settings.program = Some(Program {
            command: vec!["/usr/bin/node".into()],
            mode,
            environment: environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            env_file: None,
            writable: vec![],
            readable: vec![],
        });
        settings
    }

    /// What systemd reads: the states of its `parse_env_file_internal` that such a file can reach.
    fn read(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut chars = text.chars().peekable();
        while chars.peek().is_some() {
            let name: String = chars.by_ref().take_while(|c| *c != '=').collect();
            assert_eq!(chars.next(), Some('"'));
            let mut value = String::new();
            loop {
                match chars.next().expect("an end of the quotes") {
                    '"' => break,
                    '\\' => match chars.next().unwrap() {
                        '\n' => {}
                        c if "\"\\`$".contains(c) => value.push(c),
                        c => value.extend(['\\', c]),
                    },
                    c => value.push(c),
                }
            }
            assert_eq!(chars.next(), Some('\n'));
            found.push((name, value));
        }
        found
    }

    #[test]
    fn only_an_app_that_systemd_starts_itself_has_the_file() {
        assert_eq!(file(&with(&[("A", "b")], Mode::Front)).unwrap(), None);
        assert_eq!(file(&with(&[], Mode::Inherit)).unwrap(), None);
        let text = file(&with(&[("A", "b c"), ("B", "")], Mode::Inherit)).unwrap();
        assert_eq!(text.as_deref(), Some("A=\"b c\"\nB=\"\"\n"));
    }

    #[test]
    fn what_systemd_would_drop_is_refused_by_name() {
        for (name, value) in [("1A", ""), ("a.b", ""), ("", ""), ("A", "\r"), ("A", "\u{feff}x")] {
            let error = file(&with(&[(name, value)], Mode::Inherit)).unwrap_err();
            let sentence =
                format!("{name:?} of [environment] cannot be handed over by systemd: its ");
            assert!(error.to_string().starts_with(&sentence), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_as_it_was_given(
            value in prop_oneof![any::<String>(), "[ \"'\\\\$`\n\t#;=%{}a-]{0,20}"],
        ) {
            let settings = with(&[("FIRST", &value), ("SECOND", "2")], Mode::Inherit);
            let Ok(text) = file(&settings) else { return Ok(()) };
            let expected = vec![("FIRST".to_owned(), value), ("SECOND".into(), "2".into())];
            prop_assert_eq!(read(&text.unwrap()), expected);
        }
    }
}

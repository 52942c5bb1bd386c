//! Where in the file a problem is.

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::*;

#[test]
fn a_person_sees_the_line_the_key_and_the_hint() {
    let error = error("name = \"shop\"\n\n[limits]\nmemory = \"300MB\"\nmax_restart = 3\n");
    let mut told = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut told, &error)
        .unwrap();
    assert_data_eq!(
        told,
        str![[r#"
  × romuo.toml:4:10: `limits.memory` is "300MB", not a size above 0 such as "300M" or "1G" (K, M,
  │ G, T; base 1024) (and 1 more problem)
   ╭─[romuo.toml:4:10]
 3 │ [limits]
 4 │ memory = "300MB"
   ·          ───┬───
   ·             ╰── here
 5 │ max_restart = 3
   ╰────
  help: write "300M"

Error: 
  × romuo.toml:5:1: `limits.max_restart` is not known
   ╭─[romuo.toml:5:1]
 4 │ memory = "300MB"
 5 │ max_restart = 3
   · ─────┬─────
   ·      ╰── here
   ╰────
  help: did you mean `max_restarts`?

"#]]
    );
}

#[test]
fn a_program_gets_the_place_and_the_key() {
    let error = error("name = \"shop\"\n\n[limits]\nmemory = \"3M\"\n");
    assert_eq!((error.line(), error.column()), (Some(4), Some(10)));
    assert_eq!(error.key(), Some("limits.memory"));
    assert!(error.to_string().starts_with("romuo.toml:4:10: "), "{error}");
}

#[test]
fn a_column_counts_characters() {
    let error = error("limits = { \"µß\" = 1, memory = 1 }\n");
    let places: Vec<_> = error.problems().map(|p| (p.line(), p.column())).collect();
    assert_eq!(places, [(1, 12)]);
    let error = self::error("static = { root = \"äöü\", fallback = \"../x\" }\n");
    assert_eq!((error.line(), error.column()), (Some(1), Some(37)));
}

#[test]
fn broken_syntax_has_a_place_too() {
    assert_data_eq!(
        told("name = \"shop\nlisten = 3\n"),
        str![[r#"
romuo.toml:1:13: invalid basic string, expected `"`

"#]]
    );
    assert_data_eq!(
        told("name = \"a\"\nname = \"b\"\n"),
        str![[r#"
romuo.toml:2:1: duplicate key

"#]]
    );
    assert_data_eq!(
        told("name\n"),
        str![[r#"
romuo.toml:1:5: key with no value, expected `=`

"#]]
    );
}

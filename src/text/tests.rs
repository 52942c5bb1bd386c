//! What is shown of hostile text.

use proptest::prelude::*;

use super::*;

/// Texts with many of the characters that matter.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "\x1b",
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x1b]52;c;",
        "\x1bP",
        "\u{9b}",
        "\u{9d}",
        "\r",
        "\n",
        "\t",
        "\\",
        "\\x1b",
        "\x1b[31m",
        "\x1b[8m",
        "\x1b[0m",
        "\0",
        "\x7f",
        "\u{202e}",
        "\u{2066}",
        "\u{2028}",
        "\u{feff}",
        "\u{200b}",
        "\u{200d}",
        "\u{e0041}",
        "é",
        "日本",
        "a",
        "[",
        "m",
        ";",
        "😀",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// What no terminal may see, as the standards have it; a list of its own.
fn is_bad(c: char) -> bool {
    let code = u32::from(c);
    let controls = code < 0x20 && c != '\t' || (0x7f..0xa0).contains(&code);
    let formats = [
        0x61c..=0x61c,
        0x200b..=0x200b,
        0x200e..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x2064,
        0x2066..=0x206f,
        0xfeff..=0xfeff,
    ];
    controls || formats.iter().any(|range| range.contains(&code))
}

#[test]
fn control_and_bidirectional_characters_are_written_out() {
    for (given, expected) in [
        ("plain é 日本 \\ \t|", "plain é 日本 \\ \t|"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\u{9b}31m", "\\x9b31m"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("txt.\u{202e}exe", "txt.\\u{202e}exe"),
        ("\u{e0041}", "\\u{e0041}"),
        ("👩\u{200d}🚀", "👩\u{200d}🚀"),
    ] {
        assert_eq!(shown(given), expected);
    }
    assert!(matches!(shown("plain é 日本 \\ \t|"), Cow::Borrowed(_)), "nothing is copied");
    assert!(matches!(shown_below("plain", "  "), Cow::Borrowed(_)));
    assert!(matches!(printed("plain\n\x1b[31mred\x1b[0m"), Cow::Borrowed(_)));
}

#[test]
fn a_second_line_cannot_be_taken_for_a_first_one() {
    assert_eq!(shown_below("one\ntwo\x1b\n", "  | "), "one\n  | two\\x1b\n  | ");
}

#[test]
fn of_styles_only_ours_stay() {
    use anstyle::AnsiColor::{Blue, Cyan, Green, Magenta, Red, Yellow};
    let colours = [Blue, Cyan, Green, Magenta, Red, Yellow].map(anstyle::AnsiColor::on_default);
    for style in
        colours.into_iter().chain([Red.on_default().bold(), anstyle::Style::new().dimmed()])
    {
        let ours = format!("{style}x{style:#}");
        assert_eq!(printed(&ours), ours);
    }
    for others in
        ["\x1b[8mx", "\x1b[31;7mx", "\x1b[31", "\x1b[31x\x1b[0", "\x1b[38;5;1mx", "\x1b[ m"]
    {
        assert!(!printed(others).contains('\x1b'), "{others:?}");
    }
    assert_eq!(printed_plain("\x1b[31mx\n"), "\\x1b[31mx\n");
}

#[test]
fn json_is_the_same_value() {
    let value = serde_json::json!({"a\u{9b}": ["\u{202e}\u{7f}\u{e0041}\n\x1b", "é"]});
    for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let safe = json(&text);
        assert!(!safe.chars().any(|c| is_bad(c) && c != '\n'), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}

#[test]
fn what_comes_in_pieces_is_shown_in_lines() {
    let mut shower = Shower::new("| ");
    let mut all = shower.add(b"10 %\r20 %\r\n\x1b]0;");
    all += &shower.add(b"ti");
    all += &shower.add(&"é\nlast".as_bytes()[..1]);
    all += &shower.add(&"é\nlast".as_bytes()[1..]);
    all += &shower.end();
    assert_eq!(all, "| 10 %\n| 20 %\n| \\x1b]0;tié\n| last\n");
    let long = shower.add(&vec![b'x'; 100_000]);
    assert!(long.lines().count() > 5 && long.lines().all(|line| line.starts_with("| x")));
}

proptest! {
    #[test]
    fn whatever_it_is_nothing_is_left_that_a_terminal_obeys(text in hostile()) {
        let one = shown(&text);
        prop_assert!(!one.chars().any(is_bad), "{one:?}");
        prop_assert_eq!(shown(&one), one.clone(), "what is shown may be shown again");
        prop_assert_eq!(printed(&one), one.clone());

        let below = shown_below(&text, "  | ");
        prop_assert!(!below.chars().any(|c| is_bad(c) && c != '\n'));
        prop_assert!(below.lines().skip(1).all(|line| line.starts_with("  | ")));

        let plain = printed_plain(&text);
        prop_assert!(!plain.chars().any(|c| is_bad(c) && c != '\n'));
        prop_assert_eq!(plain.matches('\n').count(), text.matches('\n').count());

        // What is left of a control sequence is one that only sets our styles.
        let printed = printed(&text).into_owned();
        let bare = anstream::adapter::strip_str(&printed).to_string();
        prop_assert!(!bare.chars().any(|c| is_bad(c) && c != '\n'), "{:?}", printed);
        prop_assert!(!printed.contains("\x1b]") && !printed.contains("\x1b[8m"));

        let value = serde_json::Value::from(text.clone());
        let value = value.to_string();
        let safe = json(&value);
        prop_assert!(!safe.chars().any(is_bad));
        prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn in_whatever_pieces_it_comes_it_is_shown_the_same(
        text in hostile(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut whole = Shower::new("| ");
        let expected = whole.add(text.as_bytes()) + &whole.end();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut shower = Shower::new("| ");
        let mut all = String::new();
        for piece in cuts.windows(2) {
            all += &shower.add(&text.as_bytes()[piece[0]..piece[1]]);
        }
        all += &shower.end();
        prop_assert!(all.lines().all(|line| line.starts_with("| ")));
        prop_assert!(!all.chars().any(|c| is_bad(c) && c != '\n'));
        prop_assert_eq!(all, expected);
    }
}

//! Which characters a terminal obeys, or does not show.

/// Whether a character is written out: control characters but the tab, and those of Unicode that change
/// the order of others, break lines, or show nothing. The joiners U+200C and U+200D stay, since Persian
/// and emoji need them, and so do the selectors of variations.
pub(super) fn is_hidden(c: char) -> bool {
    match c {
        // Most text is this.
        '\t' | ' '..='~' => false,
        _ => {
            c.is_control()
                || matches!(c,
                    // The soft hyphen.
                    '\u{ad}'
                    // Marks of direction, embeddings, overrides and isolates (UAX #9).
                    | '\u{61c}' | '\u{200e}' | '\u{200f}'
                    | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
                    // Ends of lines and paragraphs.
                    | '\u{2028}' | '\u{2029}'
                    // What has no width, and operators that are not seen.
                    | '\u{200b}' | '\u{180e}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
                    // Annotations between lines, and tags.
                    | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        }
    }
}

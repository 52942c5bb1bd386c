//! What somebody may have meant who mistyped a word.

/// The one of the known words that is nearest to `word`, if that can be taken for a mistyped one.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&word, &known.to_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known));
    near.filter(|(distance, known)| *distance <= typos(known)).min().map(|(_, known)| known)
}

/// How many typos still leave a word recognizable: one in three letters, and three at the most.
fn typos(known: &str) -> usize {
    (known.len() / 3).clamp(1, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_recognized_with_a_typo_in_three_letters() {
        let known = ["instances", "listen", "env", "shop"];
        for (word, meant) in [
            ("instance", Some("instances")),
            ("Listen", Some("listen")),
            ("lsiten", Some("listen")),
            ("shpo", Some("shop")),
            ("evn", Some("env")),
            ("shopping", None),
            ("", None),
            ("port", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest("x", []), None);
    }
}

//! The keys that are known, and what someone may have meant who wrote another one.

use std::collections::BTreeSet;

use crate::text::nearest;

/// The keys that were asked for, each with its table; the top level is the table "".
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeSet<(&'static str, &'static str)>);

/// Splits `limits.memory` into its table and its name in it.
pub(super) fn split(key: &str) -> (&str, &str) {
    key.split_once('.').unwrap_or(("", key))
}

impl Keys {
    /// Makes `limits.memory` known.
    pub(super) fn insert(&mut self, key: &'static str) {
        self.0.insert(split(key));
    }

    /// Whether `name` is a known key of `table`.
    pub(super) fn contains(&self, table: &str, name: &str) -> bool {
        self.0.contains(&(table, name))
    }

    /// Whether `name` is a known table.
    pub(super) fn has_table(&self, name: &str) -> bool {
        !name.is_empty() && self.0.iter().any(|(table, _)| *table == name)
    }

    /// What to do about the key `name` of `table`, which is not known: move it to the table that
    /// knows it, correct its spelling, or choose among the known ones.
    pub(super) fn hint(&self, table: &str, name: &str) -> String {
        let at_home = |(home, known): &(&'static str, &str)| (*known == name).then_some(*home);
        let homes: Vec<_> = self.0.iter().filter_map(at_home).collect();
        if let Some(home) = homes.first() {
            return match *home {
                "" => "it belongs to the top level: write it above the first [table]".into(),
                _ => format!("it belongs to [{}]", homes.join("] or [")),
            };
        }
        let candidates = self.candidates(table);
        match nearest(name, candidates.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", candidates.join(", ")),
        }
    }

    /// What may be written in `table`; in the top level also the names of the tables.
    fn candidates(&self, table: &str) -> Vec<&'static str> {
        let own = self.0.iter().filter(|(home, _)| *home == table).map(|(_, name)| *name);
        let tables: BTreeSet<_> = self.0.iter().map(|(home, _)| *home).collect();
        own.chain(tables.into_iter().filter(|home| table.is_empty() && !home.is_empty())).collect()
    }

    /// Each key as it is written with its table.
    #[cfg(test)]
    pub(super) fn dotted(&self) -> Vec<String> {
        let dotted = |(table, name): &(&str, &str)| format!("{table}.{name}");
        self.0.iter().map(|key| dotted(key).trim_start_matches('.').to_owned()).collect()
    }
}

//! Walks the parsed file, key by key. Whatever key is asked for is a known one; at the end every
//! other key is refused. So the one list of keys is the code that reads them, in
//! [`file`](super::file).

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Keys, split};
use super::report::Report;
use super::typed::{Any, FromToml, OneOrMore};
use super::value::ValueError;

/// Reads typed values by their dotted keys: `name`, `limits.memory`.
pub(super) struct Reader<'a, 'r, 't> {
    root: &'a DeTable<'a>,
    report: &'r mut Report<'t>,
    known: Keys,
}

impl<'a, 'r, 't> Reader<'a, 'r, 't> {
    /// A reader of the top-level table of a file.
    pub(super) fn new(root: &'a DeTable<'a>, report: &'r mut Report<'t>) -> Self {
        Self { root, report, known: Keys::default() }
    }

    /// The value of `key`; none: the file does not say, or it was refused.
    pub(super) fn value<T: FromToml>(&mut self, key: &'static str) -> Option<T> {
        let item = self.find(key)?;
        self.read(key, item)
    }

    /// The values of `key`, which may be one or a list.
    pub(super) fn values<T: FromToml>(&mut self, key: &'static str) -> Option<OneOrMore<T>> {
        let item = self.find(key)?;
        if item.get_ref().as_array().is_some_and(|items| items.is_empty()) {
            self.report.refuse(key, ValueError::new("[]", "a list of at least one"));
        }
        self.items(key, item).map(OneOrMore)
    }

    /// The values of `key`, which may be one or a list, also an empty one.
    pub(super) fn any<T: FromToml>(&mut self, key: &'static str) -> Option<Any<T>> {
        let item = self.find(key)?;
        self.items(key, item).map(Any)
    }

    fn items<T: FromToml>(&mut self, key: &str, item: &Spanned<DeValue<'_>>) -> Option<Vec<T>> {
        let Some(items) = item.get_ref().as_array() else {
            return self.read(key, item).map(|value| vec![value]);
        };
        let read = |(at, item): (usize, &Spanned<DeValue<'_>>)| {
            let key = format!("{key}[{at}]");
            self.report.place(&key, item.span());
            self.read(&key, item)
        };
        // Collected twice, so that every item is read and not only those up to the first bad one.
        let values: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        values.into_iter().collect()
    }

    /// The pairs of the table `key`, whose names are free.
    pub(super) fn pairs<T: FromToml>(&mut self, key: &'static str) -> Option<BTreeMap<String, T>> {
        let item = self.find(key)?;
        let Some(table) = item.get_ref().as_table() else {
            let error = ValueError::new(item.get_ref().type_str(), "a table");
            self.report.refuse(key, error.hint(format!("write [{key}] on a line of its own")));
            return None;
        };
        let mut pairs = BTreeMap::new();
        for (name, value) in table {
            let dotted = format!("{key}.{}", name.get_ref());
            self.report.place(&dotted, value.span());
            if let Some(value) = self.read(&dotted, value) {
                pairs.insert(name.get_ref().to_string(), value);
            }
        }
        Some(pairs)
    }

    /// The value of `key`, which must be there if its table is.
    pub(super) fn required<T: FromToml>(&mut self, key: &'static str) -> Option<T> {
        let (table, name) = split(key);
        if let Some((header, item)) = self.root.get_key_value(table)
            && item.get_ref().as_table().is_some_and(|keys| !keys.contains_key(name))
        {
            self.report.complain(key, header.span(), "missing", format!("[{table}] needs it"));
        }
        self.value(key)
    }

    /// Ends the walk: refuses every key that was not asked for, and returns those that were.
    pub(super) fn finish(mut self) -> Keys {
        for (name, item) in self.root {
            let name_text = name.get_ref();
            match item.get_ref().as_table() {
                Some(keys) if self.known.has_table(name_text) => {
                    for key in keys.keys() {
                        self.expect(name_text, key.get_ref(), key.span());
                    }
                }
                None if self.known.has_table(name_text) => {
                    let hint = format!("write [{name_text}] on a line of its own");
                    self.report.complain(name_text, name.span(), "not a table", hint);
                }
                _ => self.expect("", name_text, name.span()),
            }
        }
        self.known
    }

    /// Refuses the key `name` of `table` where it is not known.
    fn expect(&mut self, table: &str, name: &str, place: Range<usize>) {
        if !self.known.contains(table, name) {
            let key = if table.is_empty() { name.into() } else { format!("{table}.{name}") };
            self.report.complain(&key, place, "not known", self.known.hint(table, name));
        }
    }

    /// Finds the value of `key`, which is a known one from here on.
    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        let (table, name) = split(key);
        let item = match table {
            "" => self.root.get(name)?,
            _ => self.root.get(table)?.get_ref().as_table()?.get(name)?,
        };
        self.report.place(key, item.span());
        Some(item)
    }

    fn read<T: FromToml>(&mut self, key: &str, item: &Spanned<DeValue<'_>>) -> Option<T> {
        T::from_toml(item.get_ref()).map_err(|error| self.report.refuse(key, error)).ok()
    }
}

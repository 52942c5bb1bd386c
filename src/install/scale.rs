//! More or fewer instances: which of them come and which go. Pure.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::config::ValueError;
use crate::unit::InstanceId;

/// How many instances there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// This many.
    Exactly(NonZeroU16),
    /// So many more than there are.
    More(NonZeroU16),
    /// So many fewer than there are.
    Fewer(NonZeroU16),
}

impl Wish {
    /// What a wish looks like, for error texts.
    pub const ALLOWED: &'static str =
        "a number of instances: 1 to 65535, or how many more or fewer, such as +1 or -1";
}

impl FromStr for Wish {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (wish, digits): (fn(NonZeroU16) -> Self, _) = match text.split_at_checked(1) {
            Some(("+", digits)) => (Self::More, digits),
            Some(("-", digits)) => (Self::Fewer, digits),
            _ => (Self::Exactly, text),
        };
        let is_digit = |c: char| c.is_ascii_digit();
        // "++1" is none, although "+1" is a number too.
        let count = digits.chars().all(is_digit).then(|| digits.parse().ok()).flatten();
        count.map(wish).ok_or_else(|| ValueError::new(text, Self::ALLOWED))
    }
}

/// Why there cannot be as many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum ScaleError {
    /// None would be left.
    #[error("there are {there} instances, so there cannot be {fewer} fewer: one has to stay")]
    #[diagnostic(help("`romuoctl stop` stops the app"))]
    TooFew {
        /// How many there are.
        there: u16,
        /// How many are to go.
        fewer: NonZeroU16,
    },
    /// There are not as many ids.
    #[error("there are {there} instances, so there cannot be {more} more: 65535 is the most")]
    TooMany {
        /// How many there are.
        there: u16,
        /// How many are to come.
        more: NonZeroU16,
    },
}

/// A change of the number of instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// How many there were.
    pub from: u16,
    /// How many there are to be.
    pub to: NonZeroU16,
    /// Those that come, in their order.
    pub add: Vec<InstanceId>,
    /// Those that go, in their order.
    pub remove: Vec<InstanceId>,
}

impl Scale {
    /// What `wish` comes to where there are these instances: the lowest free ids come, the highest
    /// ones go.
    ///
    /// # Errors
    /// Where there cannot be as many.
    pub fn of(there: &BTreeSet<InstanceId>, wish: Wish) -> Result<Self, ScaleError> {
        // There are not more ids than that.
        let from = u16::try_from(there.len()).unwrap_or(u16::MAX);
        let to = match wish {
            Wish::Exactly(count) => count,
            Wish::More(more) => from
                .checked_add(more.get())
                .and_then(NonZeroU16::new)
                .ok_or(ScaleError::TooMany { there: from, more })?,
            Wish::Fewer(fewer) => from
                .checked_sub(fewer.get())
                .and_then(NonZeroU16::new)
                .ok_or(ScaleError::TooFew { there: from, fewer })?,
        };
        let free = InstanceId::first(NonZeroU16::MAX).filter(|id| !there.contains(id));
        let add = free.take(to.get().saturating_sub(from).into()).collect();
        let highest = there.iter().rev().take(from.saturating_sub(to.get()).into());
        let mut remove: Vec<_> = highest.copied().collect();
        remove.reverse();
        Ok(Self { from, to, add, remove })
    }

    /// There are as many already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// The way back.
    #[must_use]
    pub fn undone(&self) -> Self {
        let to = NonZeroU16::new(self.from).unwrap_or(NonZeroU16::MIN);
        Self { from: self.to.get(), to, add: self.remove.clone(), remove: self.add.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u16]) -> Vec<InstanceId> {
        numbers.iter().map(|number| number.to_string().parse().unwrap()).collect()
    }

    fn scale(there: &[u16], wish: &str) -> Result<Scale, ScaleError> {
        Scale::of(&ids(there).into_iter().collect(), wish.parse().unwrap())
    }

    /// Those that come and those that go.
    fn changes(there: &[u16], wish: &str) -> (Vec<InstanceId>, Vec<InstanceId>) {
        let scale = scale(there, wish).unwrap();
        let to = there.len() + scale.add.len() - scale.remove.len();
        assert_eq!((usize::from(scale.from), usize::from(scale.to.get())), (there.len(), to));
        (scale.add, scale.remove)
    }

    #[test]
    fn the_lowest_free_ids_come() {
        assert_eq!(changes(&[1, 2], "4"), (ids(&[3, 4]), vec![]));
        assert_eq!(changes(&[2, 5], "+3"), (ids(&[1, 3, 4]), vec![]));
        assert_eq!(changes(&[], "2"), (ids(&[1, 2]), vec![]));
        assert_eq!(changes(&[], "+1"), (ids(&[1]), vec![]));
    }

    #[test]
    fn the_highest_ids_go_and_one_stays() {
        assert_eq!(changes(&[1, 2, 3, 4], "1"), (vec![], ids(&[2, 3, 4])));
        assert_eq!(changes(&[2, 10, 9], "-1"), (vec![], ids(&[10])));
        assert_eq!(changes(&[7, 9], "-1"), (vec![], ids(&[9])));
        for (there, wish, fewer) in [(&[1, 2][..], "-2", 2), (&[1], "-1", 1), (&[], "-1", 1)] {
            let there_are = u16::try_from(there.len()).unwrap();
            let error = ScaleError::TooFew { there: there_are, fewer: count(fewer) };
            assert_eq!(scale(there, wish), Err(error));
        }
    }

    #[test]
    fn what_is_reached_is_nothing_to_do_whichever_the_ids_are() {
        assert!(scale(&[1, 2], "2").unwrap().is_nothing());
        assert!(scale(&[3, 8], "2").unwrap().is_nothing());
        assert!(!scale(&[3, 8], "+1").unwrap().is_nothing());
    }

    #[test]
    fn there_are_no_more_than_there_are_ids() {
        let error = ScaleError::TooMany { there: 1, more: count(u16::MAX) };
        assert_eq!(scale(&[1], "+65535"), Err(error));
        assert_eq!(scale(&[1], "+65534").unwrap().add.len(), 65534);
        assert_eq!(scale(&[65535], "65535").unwrap().add.len(), 65534);
    }

    #[test]
    fn the_way_back_brings_what_was() {
        let up = scale(&[1, 5], "4").unwrap();
        let back = Scale { from: 4, to: count(2), add: vec![], remove: ids(&[2, 3]) };
        assert_eq!(up.undone(), back);
    }

    #[test]
    fn a_wish_is_a_number_or_how_many_more_or_fewer() {
        assert_eq!("4".parse(), Ok(Wish::Exactly(count(4))));
        assert_eq!("+2".parse(), Ok(Wish::More(count(2))));
        assert_eq!("-1".parse(), Ok(Wish::Fewer(count(1))));
        for bad in ["", "0", "+", "-", "+0", "-0", "++1", "-+1", "1.5", "65536", "all", "é"] {
            let error = bad.parse::<Wish>().unwrap_err();
            assert!(error.to_string().contains("is not a number of instances"), "{bad}");
        }
    }

    fn count(number: u16) -> NonZeroU16 {
        NonZeroU16::new(number).unwrap()
    }
}

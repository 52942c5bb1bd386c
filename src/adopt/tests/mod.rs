//! The pure parts of the room. Whole files are in `tests/adopt/`.

mod properties;
mod surveys;
mod values;

//! The pure parts of the room. Whole files are in `tests/adopt/`.

mod projects;
mod properties;
mod sites;
mod surveys;
mod values;

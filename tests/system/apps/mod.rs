//! Real apps in several languages, as people write them: rolled under load, and gone wrong.

pub(crate) mod app;
mod inherit;
mod marathon;
mod real;
mod trouble;

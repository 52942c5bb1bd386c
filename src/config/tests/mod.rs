//! Tests of the configuration as a whole.

mod errors;
mod properties;
mod schema;
mod stages;
mod values;

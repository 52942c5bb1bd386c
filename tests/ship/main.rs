//! What a deploy does before there is a release, with real git, tar and sh. As root it is another user who
//! owns what is shipped.

// clippy.toml allows these in tests, but takes the helpers beside them for production code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archive;
mod build;
mod git;
mod owned;
mod release;

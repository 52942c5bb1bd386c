//! What stands between the clients and the app.
//!
//! | part | holds |
//! |---|---|
//! | `route` | which generation of the app takes requests now, and which requests it still has |

mod route;


pub(crate) use route::{Generation, Lease, Route};

//! Reports as text for a terminal of 80 columns.

mod check;
mod replay;

pub use check::{heading, test_case};
pub(crate) use replay::outcome;
pub use replay::replay;

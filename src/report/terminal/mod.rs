//! Reports as text for a terminal of 80 columns.

mod check;
mod replay;

pub use check::{heading, test_case};
pub use replay::replay;

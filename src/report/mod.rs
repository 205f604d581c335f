//! Reports of a verdict, of replays and of comparisons: text for a terminal, JUnit XML and Markdown
//! for CI systems, HTML for a browser. JSON reports need no code here: results serialize
//! themselves. [`limit_values`] bounds the size of a report of very many long values.
//!
//! This module formats results and decides nothing.

pub mod html;
#[cfg(feature = "vm")]
pub mod junit;
#[cfg(feature = "vm")]
pub mod markdown;
#[cfg(feature = "vm")]
mod multi_line;
#[cfg(feature = "vm")]
mod parts;
#[cfg(feature = "vm")]
mod skips;
#[cfg(feature = "vm")]
pub mod terminal;
#[cfg(feature = "vm")]
mod total;
#[cfg(feature = "vm")]
mod wording;

#[cfg(feature = "vm")]
pub use total::limit_values;
#[cfg(feature = "vm")]
pub use wording::summary;
#[cfg(feature = "vm")]
use wording::{HINT, IMAGE_ONLY, column, explanation, full_explanation, is_same_failure, unique};

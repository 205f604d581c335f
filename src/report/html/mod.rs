//! Reports as HTML pages, each in one file without external resources.

#[cfg(feature = "vm")]
mod ansi;
#[cfg(feature = "vm")]
mod cases;
#[cfg(feature = "vm")]
mod check;
mod diff;
mod document;
#[cfg(feature = "vm")]
mod filter;
#[cfg(feature = "vm")]
mod matrix;
#[cfg(feature = "vm")]
mod replay;
#[cfg(feature = "vm")]
mod results;
#[cfg(feature = "vm")]
mod timeline;
#[cfg(feature = "vm")]
mod values;

#[cfg(feature = "vm")]
pub use check::check_page;
pub use diff::diff_page;
#[cfg(feature = "vm")]
pub use replay::replay_page;

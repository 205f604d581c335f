//! Reports as HTML pages, each in one file without external resources.

mod check;
mod document;
mod replay;
mod timeline;

pub use check::check_page;
pub use replay::replay_page;

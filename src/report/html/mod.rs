//! Reports as HTML pages, each in one file without external resources.

mod ansi;
mod cases;
mod check;
mod document;
mod matrix;
mod replay;
mod results;
mod timeline;

pub use check::check_page;
pub use replay::replay_page;

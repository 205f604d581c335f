//! The cache folder, and files that appear complete or not at all.

pub(crate) mod cache_dir;
pub(crate) mod cache_file;

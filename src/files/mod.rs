//! The cache folder, and files that appear complete or not at all: in the cache, and outputs.

pub(crate) mod cache_dir;
pub(crate) mod cache_file;
pub(crate) mod full_disk;
pub(crate) mod output;
mod unfinished;

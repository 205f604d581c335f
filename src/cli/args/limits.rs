//! `--max-size`, `--max-entries`: limits within which images of others are read.

use crate::archive::Limits;
use crate::document::size;

/// The limits of every command that reads an image.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct LimitArgs {
    /// Most bytes that an image's compressed layers may decompress to, such as 20G
    /// [default: 512M plus 1100 times the compressed size]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_size: Option<u64>,

    /// Most files and folders in all layers of an image [default: 1000000]
    #[arg(long, value_name = "N")]
    max_entries: Option<u64>,
}

impl LimitArgs {
    /// Returns the limits.
    pub(in crate::cli) fn limits(self) -> Limits {
        let default = Limits::default();
        Limits { size: self.max_size, entries: self.max_entries.unwrap_or(default.entries) }
    }
}

//! `--max-size`, `--max-entries`: limits within which images of others are read.

use crate::archive::Limits;

/// The limits of every command that reads an image.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct LimitArgs {
    /// Most bytes that an image's compressed layers may decompress to, such as 20G
    /// [default: 512M plus 1100 times the compressed size]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
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

/// Parses a number of bytes with an optional suffix K, M, G or T (powers of 1024).
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("expected a number of bytes, such as 500M or 20G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number of bytes, such as 20G")?;
    number.checked_mul(1 << shift).ok_or_else(|| "the number is too large".to_owned())
}

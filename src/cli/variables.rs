//! Environment variables with values that mean nothing: they would have no effect.

use std::env::var_os;
use std::io::Write;
use std::path::Path;

use anyhow::bail;

use super::streams::messages;
use crate::text;

/// Variables whose value is a whole number, and what it counts.
const NUMBERS: [(&str, &str); 2] =
    [("SEATRIAL_CACHE_MIB", "a number of MiB"), ("NIX_BUILD_CORES", "a number of cores")];

/// Checks the values of variables that every command reads.
///
/// # Errors
/// If one is not a number. A cache folder that is not absolute is a warning: the specification of
/// these folders has programs ignore it.
pub(super) fn check() -> anyhow::Result<()> {
    for (name, expected) in NUMBERS {
        let Some(value) = var_os(name).filter(|value| !value.is_empty()) else { continue };
        if value.to_str().is_none_or(|text| text.parse::<u64>().is_err()) {
            let value = text::quote(&value.to_string_lossy());
            bail!("invalid {name} {value}; expected {expected}");
        }
    }
    let cache = var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty());
    if let Some(cache) = cache.filter(|value| !Path::new(value).is_absolute()) {
        let cache = text::quote(&cache.to_string_lossy());
        let problem = format!("ignored XDG_CACHE_HOME {cache}; expected an absolute path");
        // The command goes on, whether this can be printed or not.
        let _ = writeln!(messages(), "warning: {problem}");
    }
    Ok(())
}

//! What in an image will hurt somebody: things that are valid, and yet break on another engine, another day or in other
//! hands. Rules only; images are read by [`archive`](crate::archive).

mod config;
mod files;

use serde::Serialize;

use crate::archive::verify::LayerFacts;
use crate::archive::{ArchiveError, Image};

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Fine for many images; good to know.
    Note,
    /// It breaks something somewhere.
    Warning,
}

/// Something that was noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// The rule, by its name.
    pub rule: &'static str,
    /// What is there.
    pub what: String,
    /// What that breaks.
    pub breaks: &'static str,
    /// What to do about it.
    pub mend: &'static str,
}

/// Everything that is noticed in `image`, whose layers have `facts`, in an order that does not change.
///
/// # Errors
/// When a layer cannot be read.
pub fn lint(image: &Image, facts: &[LayerFacts]) -> Result<Vec<Finding>, ArchiveError> {
    let mut findings = config::look(image, facts);
    findings.extend(files::look(image)?);
    Ok(findings)
}

fn warning(rule: &'static str, what: String, breaks: &'static str, mend: &'static str) -> Finding {
    Finding { level: Level::Warning, rule, what, breaks, mend }
}

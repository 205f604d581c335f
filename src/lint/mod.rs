//! Finds problems in images: valid images that fail on another engine, are not reproducible, or are
//! insecure. There are only rules here; [`archive`](crate::archive) reads the images.

mod accounts;
mod config;
mod container;
mod contents;
mod elf;
mod files;
mod finding;
mod paths;
mod rules;
mod secrets;

pub use finding::{Finding, Level};
pub use rules::RULES;
#[cfg(feature = "vm")]
pub(crate) use secrets::{HIDDEN, hide, is_hidden, is_secret};

use crate::archive::verify::VerifiedLayer;
use crate::archive::{ArchiveError, Image};
use crate::image::ContainerConfig;

/// Returns all findings about `image` and its `layers`. Their order is always the same.
///
/// # Errors
/// If a layer cannot be read.
pub fn lint(image: &Image, layers: &[VerifiedLayer]) -> Result<Vec<Finding>, ArchiveError> {
    let mut findings = container::check(&image.config.config);
    findings.extend(config::check(image, layers));
    findings.extend(files::check(image, layers)?);
    Ok(findings)
}

/// Returns the mistakes in `config`: findings about values that engines reject or misread.
pub(crate) fn lint_mistakes(config: &ContainerConfig) -> Vec<Finding> {
    container::mistakes(config)
}

/// Returns the findings about `image` that its config alone shows.
pub fn lint_config(image: &Image) -> Vec<Finding> {
    let mut findings = container::check(&image.config.config);
    findings.extend(config::check(image, &[]));
    findings
}

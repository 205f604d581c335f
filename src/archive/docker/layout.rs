//! Names of files in a docker-archive.

/// The file that lists the images.
pub(crate) const MANIFEST: &str = "manifest.json";

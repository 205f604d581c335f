//! How an image is written: format, compression, output.

use std::fmt;
use std::fs::File;
use std::io::Write;

use crate::archive::Compression;
use crate::build::CacheUse;

/// The format of an image's archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A docker-archive; compressed as a whole.
    #[default]
    Docker,
    /// An OCI layout in a tar; layers are compressed one by one.
    Oci,
    /// One tar that is both; layers are compressed one by one.
    Dual,
}

/// How an image is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The archive's format.
    pub format: Format,
    /// How the archive, or its layers, are compressed.
    pub compression: Compression,
    /// The number of threads that read, and of threads that compress. The output does not depend on
    /// it.
    pub threads: usize,
    /// How the layer cache is used. The output does not depend on it either.
    pub cache: CacheUse,
}

/// The output of an image.
pub enum Output<'a> {
    /// A regular file, which can be written out of order.
    File(&'a File),
    /// Anything else.
    Stream(&'a mut dyn Write),
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::File(_)) { "File" } else { "Stream" })
    }
}

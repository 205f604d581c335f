//! The format and the compression of an archive that a command writes.

use clap::ValueEnum;

use crate::archive::Compression;
use crate::build::Format;

/// `--format` of commands that write one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FormatArg {
    Docker,
    Oci,
    Dual,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Docker => Self::Docker,
            FormatArg::Oci => Self::Oci,
            FormatArg::Dual => Self::Dual,
        }
    }
}

/// `--compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CompressArg {
    None,
    Gzip,
    Zstd,
}

impl From<CompressArg> for Compression {
    fn from(method: CompressArg) -> Self {
        match method {
            CompressArg::None => Self::None,
            CompressArg::Gzip => Self::Gzip,
            CompressArg::Zstd => Self::Zstd,
        }
    }
}

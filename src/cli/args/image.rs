//! An image, and which one of several is meant.

use std::path::PathBuf;

use super::LimitArgs;
use crate::archive::{self, ArchiveError, Image, ImageSelector};
use crate::image::Platform;

/// The arguments of commands that read one image.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct ImageArgs {
    /// Docker-archive (plain, gzip, zstd, xz) or OCI layout (folder or tar)
    pub(in crate::cli) image: PathBuf,

    /// Select one of several images by name
    #[arg(long)]
    name: Option<String>,

    /// Select one of several images by tag
    #[arg(long)]
    tag: Option<String>,

    /// Select one of several images by platform [default: the host's]
    #[arg(long, value_name = "PLATFORM", visible_alias = "architecture")]
    platform: Option<Platform>,

    #[command(flatten)]
    limits: LimitArgs,
}

impl ImageArgs {
    /// Opens the image.
    pub(in crate::cli) fn open(&self) -> Result<Image, ArchiveError> {
        let selector = ImageSelector {
            name: self.name.clone(),
            tag: self.tag.clone(),
            platform: Some(self.platform.clone().unwrap_or_else(Platform::host)),
            limits: self.limits.limits(),
        };
        archive::open(&self.image, &selector)
    }
}

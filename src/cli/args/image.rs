//! An image, and which one of several is meant.

use std::path::PathBuf;

use super::{AccessArgs, LimitArgs};
use crate::archive::{ImageSelector, Limits};
use crate::cli::images::Opened;
use crate::image::Platform;

/// The arguments of commands that read one image.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct ImageArgs {
    /// Docker-archive (plain, gzip, zstd, xz) or OCI layout (folder or tar) by its
    /// path, docker://REFERENCE, docker-daemon:NAME:TAG, or oci:FOLDER:TAG
    #[arg(value_name = "IMAGE")]
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

    #[command(flatten)]
    access: AccessArgs,
}

impl ImageArgs {
    /// The platform for which an image is selected.
    pub(in crate::cli) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }

    /// Whether one of several platforms is selected by the user.
    pub(in crate::cli) fn selects_platform(&self) -> bool {
        self.platform.is_some()
    }

    /// The arguments for registries and the cache.
    #[cfg(feature = "vm")]
    pub(in crate::cli) fn access_args(&self) -> &AccessArgs {
        &self.access
    }

    /// The limits for reading images.
    pub(in crate::cli) fn limits(&self) -> Limits {
        self.limits.limits()
    }

    /// Whether one of several images is selected by its name.
    #[cfg(feature = "vm")]
    pub(in crate::cli) fn selects_by_name(&self) -> bool {
        self.name.is_some() || self.tag.is_some()
    }

    /// Opens the image. Of an image in a registry, no layer is fetched yet.
    pub(in crate::cli) fn open(&self) -> anyhow::Result<Opened> {
        let selector = ImageSelector {
            name: self.name.clone(),
            tag: self.tag.clone(),
            platform: Some(self.platform()),
            limits: self.limits(),
        };
        let opened = self.access.access().open(&self.image, &selector)?;
        opened.image.check_platform(self.platform.as_ref())?;
        Ok(opened)
    }
}

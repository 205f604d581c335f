//! Images on the command line: files, folders, and images in registries.

use std::path::Path;

use crate::archive::{self, Image, ImageSelector, Limits, verify};
use crate::image::{Location, Platform};
use crate::registry::{Registries, RemoteImage};

/// The location that an argument names.
pub(super) fn location(argument: &Path) -> anyhow::Result<Location> {
    match argument.to_str() {
        Some(text) => Ok(Location::parse(text)?),
        None => Ok(Location::Path(argument.to_owned())),
    }
}

/// An opened image.
pub(super) struct Opened {
    pub(super) image: Image,
    /// The image in the registry, if it is in one.
    pub(super) remote: Option<RemoteImage>,
}

impl Opened {
    /// Opens the image at `location`; of several, the one for `platform` or else for the host's.
    pub(super) fn open(
        registries: &Registries,
        location: &Location,
        platform: Option<Platform>,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let platform = platform.unwrap_or_else(Platform::host);
        if let Location::Registry(reference) = location {
            let remote = registries.open(reference, &platform, limits)?;
            return Ok(Self { image: remote.image.clone(), remote: Some(remote) });
        }
        let selector =
            ImageSelector { platform: Some(platform), limits, ..ImageSelector::default() };
        Ok(Self { image: archive::open_location(location, &selector)?, remote: None })
    }

    /// The sizes of the uncompressed layers, after checking all digests. The layers of an image in
    /// a registry are not fetched for this, and have no sizes.
    pub(super) fn verified_sizes(&self, threads: usize) -> anyhow::Result<Vec<u64>> {
        if self.remote.is_some() {
            return Ok(vec![0; self.image.layers.len()]);
        }
        let layers = verify::layers(&self.image, threads)?;
        Ok(layers.iter().map(|layer| layer.size).collect())
    }
}

//! Images on the command line: files, folders, and images in registries and daemons.

#[cfg(feature = "registry")]
use std::cell::OnceCell;
use std::path::Path;

use anyhow::bail;

use super::args::thread_count;
#[cfg(feature = "registry")]
use super::args::{RegistryArgs, SideLogin};
use super::daemon_images::in_daemon;
#[cfg(feature = "registry")]
use super::daemon_images::saved;
#[cfg(feature = "registry")]
use super::progress::BuildProgress;
#[cfg(feature = "registry")]
use crate::archive::Limits;
use crate::archive::merge::{MergeFormat, MergeInput};
use crate::archive::verify::{self, VerifiedLayer};
use crate::archive::{self, Image, ImageSelector};
#[cfg(feature = "registry")]
use crate::copy::Source;
use crate::image::Location;
#[cfg(feature = "registry")]
use crate::image::{Platform, RemoteReference};
#[cfg(feature = "registry")]
use crate::registry::{Registries, RemoteImage};

/// The location that an argument names.
pub(super) fn location(argument: &Path) -> anyhow::Result<Location> {
    match argument.to_str() {
        Some(text) => Ok(Location::parse(text)?),
        None => Ok(Location::Path(argument.to_owned())),
    }
}

/// Access to images, which connects to registries when that is needed.
pub(super) struct Access<'a> {
    #[cfg(feature = "registry")]
    args: &'a RegistryArgs,
    /// The side of a copy that it is for.
    #[cfg(feature = "registry")]
    side: Option<SideLogin>,
    /// The registries that get the user name and password; if empty, all.
    #[cfg(feature = "registry")]
    targets: Vec<RemoteReference>,
    #[cfg(feature = "registry")]
    cache: bool,
    /// Whether lock files are only read.
    #[cfg(feature = "registry")]
    pub(super) only_reads: bool,
    #[cfg(feature = "registry")]
    registries: OnceCell<Registries>,
    #[cfg(not(feature = "registry"))]
    none: std::marker::PhantomData<&'a ()>,
}

/// An opened image.
pub(super) struct Opened {
    pub(super) image: Image,
    /// The image in the registry, if it is in one.
    #[cfg(feature = "registry")]
    pub(super) remote: Option<(Registries, RemoteImage)>,
}

impl<'a> Access<'a> {
    #[cfg(feature = "registry")]
    pub(super) fn new(args: &'a RegistryArgs, cache: bool) -> Self {
        let (targets, registries) = (Vec::new(), OnceCell::new());
        Self { args, side: None, targets, cache, only_reads: false, registries }
    }

    /// Access with the user name and password of `args` only for the registries of `targets`, if
    /// there are any.
    #[cfg(feature = "registry")]
    pub(super) fn for_targets(
        args: &'a RegistryArgs,
        targets: &[RemoteReference],
        cache: bool,
    ) -> Self {
        Self { targets: targets.to_vec(), ..Self::new(args, cache) }
    }

    /// Access for one side of a copy, with its own credentials if it has any.
    #[cfg(feature = "registry")]
    pub(super) fn for_side(args: &'a RegistryArgs, side: SideLogin, cache: bool) -> Self {
        Self { side: Some(side), ..Self::new(args, cache) }
    }

    #[cfg(not(feature = "registry"))]
    pub(super) fn new() -> Self {
        Self { none: std::marker::PhantomData }
    }

    /// Opens the image that `argument` names; `selector` selects one of several. Of an image in a
    /// registry, manifest and config are fetched, and layers when they are read.
    pub(super) fn open(&self, argument: &Path, selector: &ImageSelector) -> anyhow::Result<Opened> {
        self.open_location(&location(argument)?, selector)
    }

    /// Opens the image at `location`.
    pub(super) fn open_location(
        &self,
        location: &Location,
        selector: &ImageSelector,
    ) -> anyhow::Result<Opened> {
        let is_elsewhere = matches!(location, Location::Registry(_) | Location::Daemon(_));
        let named = selector.has_name_or_tag();
        if named && (is_elsewhere || location.name_in_file().is_some()) {
            bail!("{location}: --name and --tag are only for images without a name of their own");
        }
        match location {
            Location::Registry(reference) => self.remote(reference, selector),
            Location::Daemon(reference) => Ok(Opened::local(in_daemon(reference, selector)?)),
            file => Ok(Opened::local(archive::open_location(file, selector)?)),
        }
    }
}

impl Access<'_> {
    /// The input of `seatrial merge` that `argument` names: a file or folder, of which all images
    /// are taken, or an image in a registry, whose layers are fetched.
    pub(super) fn merge_input(
        &self,
        argument: &Path,
        format: &MergeFormat,
    ) -> anyhow::Result<MergeInput> {
        let location = location(argument)?;
        if location.name_in_file().is_some() {
            bail!("{location}: merge takes all images of a file or folder; leave out the name");
        }
        match &location {
            Location::Registry(reference) => self.merge_remote(reference, format),
            Location::Daemon(reference) => bail!(
                "docker-daemon:{reference}: merge takes no image of a daemon; save it to a file \
                 first: docker save -o FILE {reference}"
            ),
            file => {
                archive::check_spelling(file)?;
                Ok(MergeInput::Path(file.path().unwrap_or(argument).to_owned()))
            }
        }
    }
}

#[cfg(feature = "registry")]
impl Access<'_> {
    fn merge_remote(
        &self,
        reference: &crate::image::RemoteReference,
        format: &MergeFormat,
    ) -> anyhow::Result<MergeInput> {
        let platform = match format {
            MergeFormat::Docker(platform) => Some(platform.clone().unwrap_or_else(Platform::host)),
            MergeFormat::Oci => None,
        };
        let registries = self.registries()?;
        let tree = registries.tree(reference, platform.as_ref())?;
        registries.fetch_tree(reference, &tree)?;
        let name = reference.familiar().and_then(|name| name.parse().ok());
        Ok(MergeInput::Tree(Box::new(tree), name))
    }

    /// The registries, prepared once: a password is read from standard input.
    pub(super) fn registries(&self) -> anyhow::Result<&Registries> {
        if let Some(registries) = self.registries.get() {
            return Ok(registries);
        }
        let registries = match &self.side {
            Some(side) => self.args.registries_of_side(side, self.cache)?,
            None if self.targets.is_empty() => self.args.registries(self.cache)?,
            None => self.args.registries_for(&self.targets, self.cache)?,
        };
        Ok(self.registries.get_or_init(|| registries))
    }

    /// Opens the image at `location` to copy it.
    pub(super) fn source(
        &self,
        location: &Location,
        platform: Option<&Platform>,
        limits: Limits,
    ) -> anyhow::Result<Source> {
        match location {
            Location::Registry(reference) => {
                Ok(Source::in_registry(self.registries()?, reference, limits))
            }
            Location::Daemon(reference) => saved(reference, platform, limits),
            file => Ok(Source::in_file(file, platform, limits)?),
        }
    }

    fn remote(
        &self,
        reference: &crate::image::RemoteReference,
        selector: &ImageSelector,
    ) -> anyhow::Result<Opened> {
        let registries = self.registries()?;
        let platform = selector.platform.clone().unwrap_or_else(Platform::host);
        let remote = registries.open(reference, &platform, selector.limits)?;
        let image = remote.image.clone();
        Ok(Opened { image, remote: Some((registries.clone(), remote)) })
    }
}

#[cfg(not(feature = "registry"))]
impl Access<'_> {
    fn remote(
        &self,
        reference: &crate::image::RemoteReference,
        _: &ImageSelector,
    ) -> anyhow::Result<Opened> {
        Err(self.no_registries(reference))
    }

    fn merge_remote(
        &self,
        reference: &crate::image::RemoteReference,
        _: &MergeFormat,
    ) -> anyhow::Result<MergeInput> {
        Err(self.no_registries(reference))
    }

    fn no_registries(&self, reference: &crate::image::RemoteReference) -> anyhow::Error {
        let _ = self.none;
        anyhow::anyhow!(
            "docker://{reference}: this seatrial was built without registries; build it with \
             feature registry"
        )
    }
}

impl Opened {
    fn local(image: Image) -> Self {
        Self {
            image,
            #[cfg(feature = "registry")]
            remote: None,
        }
    }

    /// Whether reading the layers fetches them from a registry.
    pub(super) fn is_remote(&self) -> bool {
        #[cfg(feature = "registry")]
        return self.remote.is_some();
        #[cfg(not(feature = "registry"))]
        false
    }

    /// Reads and verifies all layers, which are fetched if the image is in a registry.
    pub(super) fn verified_layers(&self) -> anyhow::Result<Vec<VerifiedLayer>> {
        #[cfg(feature = "registry")]
        if let Some((registries, remote)) = &self.remote {
            return super::pull::verified_layers(registries, remote);
        }
        Ok(verify::layers(&self.image, thread_count(None))?)
    }

    /// Fetches the layers that are not cached, several at once, if the image is in a registry.
    pub(super) fn fetched(self) -> anyhow::Result<Image> {
        #[cfg(feature = "registry")]
        if let Some((registries, remote)) = &self.remote {
            let progress = BuildProgress::start(&remote.reference().to_string());
            registries.fetch_layers(remote, &|bytes| progress.add(bytes))?;
        }
        Ok(self.image)
    }
}

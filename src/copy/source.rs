//! The image that is copied.

use std::collections::BTreeMap;
#[cfg(feature = "vm")]
use std::fs::File;
use std::path::{Path, PathBuf};

use super::entry;
use super::options::CopyOptions;
use crate::archive::oci::{ImageTree, LayoutSource, TreeDocument, name_of, named};
use crate::archive::open::{self, OpenFiles, open_files};
use crate::archive::{ArchiveError, Image, ImageSelector, Limits, check_spelling};
use crate::build::BuildError;
use crate::image::manifest::{Descriptor, OciPlatform};
use crate::image::{Digest, Location, Platform, Reference, RemoteReference};
use crate::registry::Registries;

/// An image that can be copied.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    kind: Kind,
    limits: Limits,
    /// The name of the image, if the user gives one or the source has it.
    reference: Option<Reference>,
}

#[derive(Debug)]
enum Kind {
    Registry(Registries, RemoteReference),
    Layout {
        layout: LayoutSource,
        root: Descriptor,
        /// The same image as a docker-archive, if the file is both.
        docker: Option<Box<Image>>,
    },
    Docker(Box<Image>),
}

impl Source {
    /// Opens the image in a registry. Connects when it is read.
    pub(crate) fn in_registry(
        registries: &Registries,
        reference: &RemoteReference,
        limits: Limits,
    ) -> Self {
        Self {
            path: format!("docker://{reference}").into(),
            kind: Kind::Registry(registries.clone(), reference.clone()),
            limits,
            reference: reference.familiar().and_then(|name| name.parse().ok()),
        }
    }

    /// Opens the image at `location`, which is a file or folder.
    ///
    /// # Errors
    /// If there is no such image, or several.
    pub(crate) fn in_file(
        location: &Location,
        platform: Option<&Platform>,
        limits: Limits,
    ) -> Result<Self, BuildError> {
        check_spelling(location)?;
        let Some(path) = location.path() else {
            let problem = "the image is not in a file";
            return Err(ArchiveError::invalid(location.to_string(), problem).into());
        };
        let opened = open_files(path, limits)?;
        if matches!(location, Location::DockerArchive(_)) && !opened.docker {
            let problem = "it is an OCI layout, not a docker-archive; write oci-archive:";
            return Err(ArchiveError::invalid(location.to_string(), problem).into());
        }
        Self::of_files(path, opened, location.name_in_file(), platform)
    }

    /// Opens the image `reference` in an archive that a daemon wrote.
    ///
    /// # Errors
    /// If the archive is not one, or does not have the image.
    #[cfg(feature = "vm")]
    pub(crate) fn saved(
        file: File,
        reference: &Reference,
        platform: Option<&Platform>,
        limits: Limits,
    ) -> Result<Self, BuildError> {
        let path = PathBuf::from(format!("docker-daemon:{reference}"));
        let opened = open::open_saved(&path, file, limits)?;
        let source = Self::of_files(&path, opened, None, platform)?;
        Ok(Self { reference: Some(reference.clone()), ..source })
    }

    fn of_files(
        path: &Path,
        opened: OpenFiles,
        name: Option<&str>,
        platform: Option<&Platform>,
    ) -> Result<Self, BuildError> {
        let OpenFiles { docker, oci, limits, .. } = opened;
        let host = || Platform::host();
        let platform = Some(platform.cloned().unwrap_or_else(host));
        let selector = ImageSelector { platform, limits, ..ImageSelector::default() };
        let selector = name.map_or(selector.clone(), |name| selector.named(name));
        if !oci {
            let image = open::select(path, opened, &selector)?;
            let reference = image.references.first().and_then(|name| name.parse().ok());
            let kind = Kind::Docker(Box::new(image));
            return Ok(Self { path: path.to_owned(), kind, limits, reference });
        }
        let docker = match docker {
            true => Some(Box::new(open::select_docker(path, &opened, &selector)?)),
            false => None,
        };
        let mut layout = LayoutSource::new(path, opened.files);
        let root = layout.root(name)?;
        let own = name_of(&root).and_then(entry::full_reference);
        let of_docker = || docker.as_ref()?.references.first()?.parse().ok();
        let reference = own.or_else(of_docker);
        let kind = Kind::Layout { layout, root, docker };
        Ok(Self { path: path.to_owned(), kind, limits, reference })
    }

    /// The repository that the image is in, if it is in one.
    pub(super) fn repository(&self) -> Option<&RemoteReference> {
        match &self.kind {
            Kind::Registry(_, reference) => Some(reference),
            Kind::Layout { .. } | Kind::Docker(_) => None,
        }
    }

    /// The image with its manifests, for all platforms or for `platform`; `None` if it has no
    /// manifest.
    pub(crate) fn whole_tree(
        &self,
        platform: Option<&Platform>,
    ) -> Result<Option<ImageTree>, BuildError> {
        Ok(match &self.kind {
            Kind::Registry(registries, reference) => Some(registries.tree(reference, platform)?),
            Kind::Layout { layout, root, .. } => {
                Some(ImageTree::read(&self.path, root.clone(), platform, layout)?)
            }
            Kind::Docker(_) => None,
        })
    }

    /// Like [`whole_tree`](Self::whole_tree), and checks that the image is for `platform`, which
    /// the user selected.
    pub(super) fn selected_tree(
        &self,
        platform: Option<&Platform>,
    ) -> Result<Option<ImageTree>, BuildError> {
        let tree = self.whole_tree(platform)?;
        if let (Some(_), Some(tree)) = (platform, &tree) {
            tree.images(self.limits)?.iter().try_for_each(|one| one.check_platform(platform))?;
        }
        Ok(tree)
    }

    /// Like [`selected_tree`](Self::selected_tree), but `None` also if a daemon made up the
    /// manifest of an image whose layers it has only uncompressed.
    pub(crate) fn tree(
        &self,
        platform: Option<&Platform>,
    ) -> Result<Option<ImageTree>, BuildError> {
        let tree = self.selected_tree(platform)?;
        let is_dual = matches!(&self.kind, Kind::Layout { docker: Some(_), .. });
        Ok(tree.filter(|tree| !is_dual || tree.is_compressed()))
    }

    /// Replaces the root of `tree`, whose source lacks all images but one, by that one. Returns
    /// what to tell the user.
    pub(super) fn narrow(&self, tree: &mut ImageTree) -> Result<Option<String>, BuildError> {
        let Some(platform) =
            tree.images(self.limits)?.pop().map(|image| OciPlatform::from(&image.config))
        else {
            return Ok(None);
        };
        let Some(wanted) = platform.architecture.parse::<Platform>().ok() else { return Ok(None) };
        let variant = platform.variant.clone().or(wanted.variant.clone());
        let Some(one) = self.whole_tree(Some(&Platform { variant, ..wanted }))? else {
            return Ok(None);
        };
        *tree = one;
        Ok(Some(format!("the source lists several platforms, but has only {platform}")))
    }

    /// The image for `platform` as the docker-archive has it, and the index from which it was
    /// selected.
    pub(super) fn image(
        &self,
        platform: Option<&Platform>,
    ) -> Result<(Image, Option<Digest>), BuildError> {
        let (image, selected_from) = match &self.kind {
            Kind::Docker(image) | Kind::Layout { docker: Some(image), .. } => {
                (Image::clone(image), None)
            }
            Kind::Registry(..) | Kind::Layout { .. } => {
                let host = Platform::host();
                let tree = self.whole_tree(Some(platform.unwrap_or(&host)))?;
                let none = || ArchiveError::invalid(&self.path, "it has no image");
                self.image_of(&tree.ok_or_else(none)?)?
            }
        };
        image.check_platform(platform)?;
        Ok((image, selected_from))
    }

    /// The annotations of the manifest that the image has for one platform, if it has one.
    pub(super) fn manifest_annotations(
        &self,
        options: &CopyOptions,
    ) -> Result<BTreeMap<String, String>, BuildError> {
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let tree = self.whole_tree(Some(&platform))?;
        let root = tree.as_ref().and_then(|tree| tree.documents.last());
        Ok(root.map(TreeDocument::annotations).unwrap_or_default())
    }

    /// The only image of `tree`, and the index from which it was selected.
    pub(super) fn image_of(&self, tree: &ImageTree) -> Result<(Image, Option<Digest>), BuildError> {
        let none = || ArchiveError::invalid(&self.path, "it has no image");
        let mut image = tree.images(self.limits)?.into_iter().next().ok_or_else(none)?;
        image.references = self.reference.iter().map(ToString::to_string).collect();
        Ok((image, tree.selected_from))
    }

    /// The images of `tree`, under their own name.
    pub(crate) fn images(&self, tree: &ImageTree) -> Result<Vec<Image>, BuildError> {
        let mut images = tree.images(self.limits)?;
        let names: Vec<String> = self.reference.iter().map(ToString::to_string).collect();
        images.iter_mut().for_each(|image| image.references.clone_from(&names));
        Ok(images)
    }

    /// Fetches the layers of `tree` that are not cached, several at once.
    pub(super) fn prefetch(&self, tree: &ImageTree) -> Result<(), BuildError> {
        if let Kind::Registry(registries, reference) = &self.kind {
            registries.fetch_tree(reference, tree)?;
        }
        Ok(())
    }

    /// Whether the image has no manifest of its own.
    pub(super) fn is_made(&self) -> bool {
        matches!(self.kind, Kind::Docker(_))
    }

    /// The name of the image.
    pub(crate) fn own_reference(&self) -> Option<Reference> {
        self.reference.clone()
    }

    /// The annotations by which a layout lists the image, whose root is `root`.
    pub(super) fn entry_annotations(&self, root: &Descriptor) -> Option<BTreeMap<String, String>> {
        match &self.kind {
            Kind::Layout { root: own, .. } if own.annotations.is_some() => own.annotations.clone(),
            _ => named(root, self.reference.as_ref()?).annotations,
        }
    }

    /// The name for the image in a docker-archive: `given`, or its own.
    pub(super) fn reference_for(
        &self,
        given: Option<&str>,
        target: &Path,
    ) -> Result<Reference, BuildError> {
        let invalid = |problem: String| BuildError::from(ArchiveError::invalid(target, problem));
        match given {
            Some(given) => entry::full_reference(given).map_or_else(
                || {
                    let shown = crate::text::quote(given);
                    Err(invalid(format!(
                        "{shown} is not NAME:TAG; write docker-archive:FILE:NAME:TAG"
                    )))
                },
                Ok,
            ),
            None => self.own_reference().ok_or_else(|| {
                invalid(
                    "the image has no name; give one with docker-archive:FILE:NAME:TAG".to_owned(),
                )
            }),
        }
    }
}

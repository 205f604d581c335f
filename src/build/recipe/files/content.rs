//! An entry of `contents`.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::rules::XattrRule;
use super::settings::{ContentSettings, ContentTable};
use super::{Globs, ModeRule, OwnerSpec, Used, host_path, image_path};
use crate::archive::entry::display_path;
use crate::build::recipe::ImageSource;

/// An entry of the recipe's `contents`.
#[derive(Clone, Debug)]
pub struct ContentEntry {
    /// Its files.
    pub source: ContentSource,
    /// The path in the image of a folder's files or of a tar's root, without slashes at either end.
    /// For a file, its path, or with `target_is_folder` that of the folder that it is in.
    pub target: Box<[u8]>,
    /// Whether a file keeps its name.
    pub target_is_folder: bool,
    /// The files that are taken.
    pub globs: Globs,
    /// The owner of its files.
    pub owner: Option<OwnerSpec>,
    /// The change of their modes.
    pub mode: Option<ModeRule>,
    /// Whether symlinks become what they lead to.
    pub follow_links: bool,
    /// How extended attributes of source files are treated.
    pub xattrs: XattrRule,
}

/// The source of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentSource {
    /// A file, a folder or a store path.
    Files(PathBuf),
    /// A tar with owners, modes and times of its own.
    Tar(PathBuf),
    /// A tar that becomes a layer byte for byte.
    Layer(PathBuf),
    /// Files of another image, with owners, modes and times of their own.
    Image(ImageFiles),
}

/// Files of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFiles {
    /// The image.
    pub image: ImageSource,
    /// The path of the file or directory in it, without slashes at either end; empty for its root.
    pub path: Box<[u8]>,
}

impl fmt::Display for ImageFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.image, display_path(&self.path))
    }
}

/// The key of images in `contents`, for messages.
pub(in crate::build) const IMAGE_KEY: &str = "contents: image";

impl ContentEntry {
    /// The files at `path`, placed at `/`.
    pub fn files(path: impl Into<PathBuf>) -> Self {
        Self {
            source: ContentSource::Files(path.into()),
            target: Box::default(),
            target_is_folder: true,
            globs: Globs::default(),
            owner: None,
            mode: None,
            follow_links: false,
            xattrs: XattrRule::default(),
        }
    }

    /// The file or folder of this host that it is from.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            ContentSource::Files(path) | ContentSource::Tar(path) | ContentSource::Layer(path) => {
                Some(path)
            }
            ContentSource::Image(files) => files.image.path(),
        }
    }

    /// The image that it is from.
    pub(crate) fn image(&self) -> Option<&ImageSource> {
        match &self.source {
            ContentSource::Image(files) => Some(&files.image),
            _ => None,
        }
    }

    /// Whether the file at the resolved `path` is in its folder, and is taken.
    pub(in crate::build::recipe) fn selects(&self, path: &Path) -> bool {
        let ContentSource::Files(folder) = &self.source else { return false };
        let relative = folder.canonicalize().ok().and_then(|folder| path.strip_prefix(folder).ok());
        let relative = relative.map_or(&[][..], |relative| relative.as_os_str().as_bytes());
        !relative.is_empty() && self.globs.select(relative, &mut Used::new())
    }

    /// Whether it only names files, which go to `/` as they are.
    pub(in crate::build) fn is_plain(&self) -> bool {
        matches!(self.source, ContentSource::Files(_))
            && self.target.is_empty()
            && self.globs.is_empty()
            && self.owner.is_none()
            && self.mode.is_none()
            && !self.follow_links
            && self.xattrs == XattrRule::Drop
    }

    /// Checks `settings` and resolves its path relative to `folder`; `xattrs` is the recipe's rule.
    pub(in crate::build::recipe) fn new(
        settings: ContentSettings,
        folder: &Path,
        xattrs: XattrRule,
    ) -> Result<Self, String> {
        let table = match settings {
            ContentSettings::Path(path) => {
                return Ok(Self { xattrs, ..Self::files(host_path("contents", folder, &path)?) });
            }
            ContentSettings::Table(table) => *table,
        };
        table.check()?;
        let ContentTable { source, tar, layer, image, target, include, exclude, .. } = table;
        let source = match (source, tar, layer, image) {
            (Some(path), None, None, None) => {
                ContentSource::Files(host_path("source", folder, &path)?)
            }
            (None, Some(path), None, None) => ContentSource::Tar(host_path("tar", folder, &path)?),
            (None, None, Some(path), None) => {
                ContentSource::Layer(host_path("layer", folder, &path)?)
            }
            (path, None, None, Some(image)) => ContentSource::Image(ImageFiles {
                image: ImageSource::parse(IMAGE_KEY, &image, folder)?,
                path: image_path("source", path.as_deref().unwrap_or("/"))?,
            }),
            _ => {
                let problem = "a table of contents has one of source, tar, layer and image (image \
                               may have a source, too: a path in the image)";
                return Err(problem.to_owned());
            }
        };
        let target = target.unwrap_or_else(|| "/".to_owned());
        let (include, exclude) = (include.unwrap_or_default(), exclude.unwrap_or_default());
        let mode = table.mode.map(|mode| mode.rule("contents")).transpose()?;
        Ok(Self {
            source,
            target_is_folder: target.ends_with('/'),
            target: image_path("target", &target)?,
            globs: Globs::new(&Vec::from(include), &Vec::from(exclude))?,
            owner: table.owner.map(|owner| owner.spec("contents")).transpose()?,
            mode,
            follow_links: table.follow_links.unwrap_or(false),
            xattrs: table.xattrs.unwrap_or(xattrs),
        })
    }
}

impl ContentTable {
    /// Checks that no key is given that has no meaning for the kind of source.
    fn check(&self) -> Result<(), String> {
        let kind = match (&self.tar, &self.layer, &self.image) {
            (_, Some(_), _) => "layer",
            (Some(_), ..) => "tar",
            (.., Some(_)) => "image",
            _ => return Ok(()),
        };
        let of_layers = [
            ("target", self.target.is_some()),
            ("include", self.include.is_some()),
            ("exclude", self.exclude.is_some()),
            ("owner", self.owner.is_some()),
            ("mode", self.mode.is_some()),
        ];
        let of_tars =
            [("follow_links", self.follow_links.is_some()), ("xattrs", self.xattrs.is_some())];
        let excluded = of_layers.iter().filter(|_| kind == "layer").chain(&of_tars);
        match excluded.into_iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => {
                let article = if kind == "image" { "an" } else { "a" };
                Err(format!(
                    "contents: {key} does not apply to {article} {kind}, which has its own"
                ))
            }
            None => Ok(()),
        }
    }
}

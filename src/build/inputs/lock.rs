//! `seatrial.lock`: what the tags of base images in registries meant when they were first used, so
//! that a recipe gives the same image until the user updates it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::build::recipe::{LockUse, Recipe, now};
use crate::document;
use crate::files::output::OutputFile;
use crate::image::{Digest, Platform, RemoteReference};
use crate::registry::{Registries, RemoteImage};
use crate::text;

/// The name of the file, in the folder of the recipe.
const NAME: &str = "seatrial.lock";
/// The version of its format.
const VERSION: u32 = 1;
/// The comment at its beginning.
const HEADER: &str = "\
# Written by seatrial: what the tags of base images meant. Commit this file.
# `seatrial lock --update RECIPE` asks the registries again.
";

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockFile {
    version: u32,
    #[serde(default)]
    image: Vec<LockedImage>,
    #[serde(skip)]
    path: PathBuf,
}

/// The image that a reference named for a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockedImage {
    /// The reference, with registry and tag.
    pub(crate) reference: String,
    /// The platform.
    pub(crate) platform: String,
    /// The digest of the manifest for the platform.
    pub(crate) digest: Digest,
    /// The host that answered: the registry, or a mirror.
    pub(crate) from: String,
    /// When the registry was asked, RFC 3339.
    pub(crate) locked: String,
}

/// An image that was locked, and what it was locked to before, if that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) image: LockedImage,
    pub(crate) before: Option<Digest>,
}

/// The path of the lock file beside the recipe at `recipe`.
pub(crate) fn path_beside(recipe: &Path) -> PathBuf {
    recipe.with_file_name(NAME)
}

impl LockFile {
    /// Reads the lock file beside `recipe`; empty if there is none.
    pub(crate) fn beside(recipe: &Path) -> Result<Self, BuildError> {
        let path = path_beside(recipe);
        let content = match document::read(&path, document::MAX_SIZE) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, image: Vec::new(), path });
            }
            Err(error) => return Err(ArchiveError::read(&path)(error).into()),
        };
        let parsed: Self = document::parse(&path, &content).map_err(|error| {
            let problem =
                format!("{}; mend the file, or remove it to lock again", error.problem.text);
            BuildError::Recipe { recipe: error.place, problem }
        })?;
        if parsed.version != VERSION {
            let problem = format!(
                "unknown version {}; a newer seatrial wrote it; expected {VERSION}",
                parsed.version
            );
            return Err(BuildError::recipe(&path, problem));
        }
        Ok(Self { path, ..parsed })
    }

    /// Whether there is a lock file beside `recipe`.
    pub(crate) fn is_beside(recipe: &Path) -> bool {
        path_beside(recipe).is_file() && Self::beside(recipe).is_ok()
    }

    /// The image that `reference` is locked to for `platform`.
    fn find(&self, reference: &RemoteReference, platform: &Platform) -> Option<&LockedImage> {
        let (reference, platform) = (reference.to_string(), platform.to_string());
        let same =
            |image: &&LockedImage| image.reference == reference && image.platform == platform;
        self.image.iter().find(same)
    }

    /// The digest of that image.
    fn get(&self, reference: &RemoteReference, platform: &Platform) -> Option<Digest> {
        self.find(reference, platform).map(|image| image.digest)
    }

    /// Locks the reference of `locked` for its platform to its digest.
    fn insert(&mut self, locked: LockedImage) -> Locked {
        let before = self.image.iter().find(|image| image.is_for_same(&locked));
        let before = before.map(|image| image.digest);
        if before != Some(locked.digest) {
            self.image.retain(|image| !image.is_for_same(&locked));
            self.image.push(locked.clone());
            let key = |image: &LockedImage| (image.reference.clone(), image.platform.clone());
            self.image.sort_by_key(key);
        }
        Locked { before: before.filter(|digest| *digest != locked.digest), image: locked }
    }

    /// Writes the file.
    fn write(&self, recipe: &Path) -> Result<(), BuildError> {
        self.write_all().map_err(|error| not_written(error, recipe))
    }

    /// Checks that the file can be written.
    fn check_writable(&self, recipe: &Path) -> Result<(), BuildError> {
        let created = OutputFile::beside(&self.path).map(drop);
        created.map_err(|error| not_written(error.into(), recipe))
    }

    fn write_all(&self) -> Result<(), ArchiveError> {
        let failed = |source| ArchiveError::Write { target: text::path(&self.path), source };
        let content = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        let output = OutputFile::beside(&self.path)?;
        let written = output.file().write_all(format!("{HEADER}{content}").as_bytes());
        written.map_err(failed)?;
        Ok(output.persist()?)
    }
}

impl LockedImage {
    fn new(reference: &RemoteReference, platform: &Platform, image: &RemoteImage) -> Self {
        Self {
            reference: reference.to_string(),
            platform: platform.to_string(),
            digest: image.manifest_digest,
            from: image.host.clone(),
            locked: now().to_string(),
        }
    }

    /// Whether it is for the reference and platform of `other`.
    fn is_for_same(&self, other: &Self) -> bool {
        self.reference == other.reference && self.platform == other.platform
    }
}

/// A base image that is not in the lock file yet: a build locks it when it has succeeded.
#[derive(Debug)]
pub(crate) struct NewLock {
    recipe: PathBuf,
    image: LockedImage,
}

impl NewLock {
    /// Locks the image.
    ///
    /// # Errors
    /// If the file cannot be read or written, or another build has locked another image.
    pub(crate) fn write(&self) -> Result<(), BuildError> {
        let Self { recipe, image } = self;
        let _exclusive = exclusive(recipe);
        let mut file = LockFile::beside(recipe)?;
        match file.image.iter().find(|other| other.is_for_same(image)) {
            Some(other) if other.digest == image.digest => Ok(()),
            Some(_) => {
                let problem = format!(
                    "another build has locked {} to another image at the same time; build again",
                    image.reference
                );
                Err(BuildError::recipe(&file.path, problem))
            }
            None => {
                file.insert(image.clone());
                file.write(recipe)
            }
        }
    }
}

/// The error that the lock file beside `recipe` cannot be written, with a hint.
fn not_written(error: ArchiveError, recipe: &Path) -> BuildError {
    match error {
        ArchiveError::Write { target, source } if is_forbidden(&source) => {
            let problem = format!(
                "{source}; run seatrial lock {} where the folder can be written, or pin the base \
                 image with @sha256:...",
                text::path(recipe)
            );
            let source = io::Error::new(source.kind(), problem);
            BuildError::Archive(ArchiveError::Write { target, source })
        }
        other => other.into(),
    }
}

/// Whether the folder of a file cannot be written.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Opens the image that `reference` names: the one that the lock file beside `recipe` has, or else
/// the one that the registry has now, which is to be locked if the recipe's user allows that.
pub(crate) fn open(
    recipe: &Recipe,
    registries: &Registries,
    reference: &RemoteReference,
    platform: &Platform,
) -> Result<(RemoteImage, Option<NewLock>), BuildError> {
    let (lock_use, limits) = (recipe.lock_use, recipe.limits);
    let recipe = &*recipe.path;
    if reference.digest.is_some() {
        return Ok((registries.open(reference, platform, limits)?, None));
    }
    let file = LockFile::beside(recipe)?;
    if let Some(digest) = file.get(reference, platform) {
        // The image has its tag, as in the build that locked it.
        let locked = registries.open(&reference.pinned(digest), platform, limits);
        let how = || {
            format!(
                "{} locks {reference} to it; seatrial lock --update {} locks what the tag \
                 means now",
                text::path(&file.path),
                text::path(recipe)
            )
        };
        return Ok((locked.map_err(|error| error.explain_not_found(how))?, None));
    }
    if lock_use == LockUse::Require {
        let problem = format!(
            "{} does not lock {reference} for {platform}; run seatrial lock {}",
            text::path(&file.path),
            text::path(recipe)
        );
        return Err(BuildError::recipe(recipe, problem));
    }
    let image = registries.open(reference, platform, limits)?;
    if lock_use == LockUse::Read {
        return Ok((image, None));
    }
    // The build of another recipe in the folder may have locked it in the meantime.
    let file = LockFile::beside(recipe)?;
    if let Some(digest) = file.get(reference, platform)
        && digest != image.manifest_digest
    {
        return Ok((registries.open(&reference.pinned(digest), platform, limits)?, None));
    }
    file.check_writable(recipe)?;
    let new = LockedImage::new(reference, platform, &image);
    Ok((image, Some(NewLock { recipe: recipe.to_owned(), image: new })))
}

/// Keeps other processes from changing the lock file beside `recipe` until the result is dropped,
/// if the file system has locks.
fn exclusive(recipe: &Path) -> Option<File> {
    let folder = recipe.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

/// Locks `references`, each for a platform, in the file beside `recipe`; with `update`, also those
/// that it has already.
///
/// # Errors
/// If the file cannot be read or written, or a registry has no such image.
pub(crate) fn lock(
    recipe: &Path,
    registries: &Registries,
    references: &[(RemoteReference, Platform)],
    limits: crate::archive::Limits,
    update: bool,
) -> Result<Vec<Locked>, BuildError> {
    let before = LockFile::beside(recipe)?;
    let mut new = Vec::new();
    for (reference, platform) in references {
        let is_known = !update && before.find(reference, platform).is_some();
        let image = || registries.open(reference, platform, limits);
        new.push(if is_known { None } else { Some(image()?) });
    }
    let _exclusive = exclusive(recipe);
    let mut file = LockFile::beside(recipe)?;
    let mut result = Vec::new();
    let mut changed = false;
    for ((reference, platform), image) in references.iter().zip(new) {
        match image {
            Some(image) => {
                changed |= file.get(reference, platform) != Some(image.manifest_digest);
                result.push(file.insert(LockedImage::new(reference, platform, &image)));
            }
            None => {
                let known = before.find(reference, platform).cloned();
                result.extend(known.map(|image| Locked { image, before: None }));
            }
        }
    }
    if changed {
        file.write(recipe)?;
    }
    Ok(result)
}

//! Files of other images among the contents: the images are opened, and the files are extracted as
//! tars, in which whiteouts and links are resolved.
//!
//! The tars are kept in the cache by image and path, so that images are not read again for files
//! that are known. Without a cache, they are in unnamed temporary files.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use super::base::Base;
use super::contents::Content;
use super::notices::Notices;
use crate::archive::blob::FileSlice;
use crate::archive::blob_cache::BlobCache;
use crate::archive::entry::{display_path, name_of, parent_of};
use crate::archive::flatten::FoundPath;
use crate::archive::tar::{MemberKind, TarReader};
use crate::archive::tar_file::TarFile;
use crate::archive::{ArchiveError, FileSystem, ImageSelector};
use crate::build::recipe::files::{ContentSource, IMAGE_KEY, ImageFiles};
use crate::build::recipe::{ImageSource, Recipe};
use crate::build::{BuildError, CacheUse};
use crate::files::cache_dir;
use crate::image::manifest::OciPlatform;
use crate::image::{DiffId, Digest, Platform};
use crate::text;
use crate::text::suggest;

/// The folder in the cache.
const FOLDER: &str = "image-files";
/// The size limit of the folder in bytes.
const FOLDER_MAX: u64 = 4 << 30;
/// The version of the tars. Other versions do not use each other's.
const VERSION: u32 = 1;

/// How the images of contents are read.
pub(in crate::build) struct ImageReading<'r> {
    pub(in crate::build) threads: usize,
    pub(in crate::build) cache: CacheUse,
    /// The platform of the new image.
    pub(in crate::build) platform: &'r Platform,
    pub(in crate::build) notices: &'r Notices,
}

/// Opens the images that `contents` are from, and extracts their files. The images of recipes are
/// made by `build`. Returns the images.
pub(in crate::build) fn open_image_contents(
    recipe: &Recipe,
    contents: &mut [Content],
    reading: &ImageReading<'_>,
    mut build: impl FnMut(&Path) -> Result<Base, BuildError>,
) -> Result<Vec<Base>, BuildError> {
    let selector = ImageSelector {
        platform: Some(recipe.platform.clone().unwrap_or_else(Platform::host)),
        limits: recipe.limits,
        ..ImageSelector::default()
    };
    let cache = ExtractedFiles::open(reading.cache);
    let mut images: Vec<SourceImage> = Vec::new();
    for content in contents {
        let ContentSource::Image(wanted) = &content.entry.source else { continue };
        let known = images.iter().position(|image| image.source == wanted.image);
        let index = match known {
            Some(index) => index,
            None => {
                let (key, source) = (IMAGE_KEY, wanted.image.clone());
                let threads = reading.threads;
                let image = Base::open(recipe, key, &source, &selector, threads, &mut build)?;
                // A recipe may set another platform on purpose: that on which a compiler runs.
                if let ImageSource::Image(location) = &source {
                    let platform = OciPlatform::from(&image.image.config);
                    reading.notices.source_platform(location, &platform, reading.platform);
                }
                images.push(SourceImage { source, image, files: None });
                images.len() - 1
            }
        };
        let entry = &content.entry;
        let name = match entry.target_is_folder {
            true => name_of(&wanted.path),
            false => name_of(&entry.target),
        };
        let tar = images[index].tar(recipe, wanted, name, &cache, reading.threads)?;
        if !entry.target_is_folder && is_one_file(&tar).map_err(ArchiveError::temporary_file)? {
            content.entry.target = parent_of(&content.entry.target).into();
        }
        content.tar = Some(tar);
    }
    Ok(images.into_iter().map(|image| image.image).collect())
}

/// An image that contents are from.
struct SourceImage {
    source: ImageSource,
    image: Base,
    /// Its files, once they are read.
    files: Option<FileSystem>,
}

impl SourceImage {
    /// The files that are `wanted` as a tar; a single file is called `name` in it.
    fn tar(
        &mut self,
        recipe: &Recipe,
        wanted: &ImageFiles,
        name: &[u8],
        cache: &ExtractedFiles,
        threads: usize,
    ) -> Result<TarFile, BuildError> {
        let image = &self.image.image;
        let identity = format!("image {} {:?} {name:?}", image.id(), wanted.path);
        let key = Digest::of(format!("{VERSION} {identity}").as_bytes());
        let bytes = match cache.get(key) {
            Some(bytes) => bytes,
            None => {
                let files = match self.files.take() {
                    Some(files) => files,
                    None => FileSystem::read(image, threads)?,
                };
                let files = self.files.insert(files);
                let path = resolved(files, wanted)?.ok_or_else(|| {
                    let problem =
                        format!("{IMAGE_KEY}: {}: {}", wanted.image, missing(files, wanted));
                    BuildError::recipe(&recipe.path, problem)
                })?;
                let bytes = extracted(files, &path, name)?;
                cache.insert(key, &bytes);
                bytes
            }
        };
        let path = wanted.to_string();
        Ok(TarFile::of_image(path.as_ref(), bytes, &identity, &image.limits))
    }
}

/// The path of what is `wanted` of an image, after following symlinks; `None` if it does not exist.
fn resolved(files: &FileSystem, wanted: &ImageFiles) -> Result<Option<Box<[u8]>>, BuildError> {
    let resolved = files.resolve(&wanted.path, true)?;
    Ok(resolved.filter(|path| path.is_empty() || files.has(path)))
}

/// Says that `files` do not have what is `wanted`, and which paths are near it.
fn missing(files: &FileSystem, wanted: &ImageFiles) -> String {
    let path = &*wanted.path;
    let resolved = files.resolve_parents(path).ok().flatten();
    let path = resolved.as_deref().unwrap_or(path);
    if files.has(path) {
        return format!("{} is a symlink to nothing", display_path(path));
    }
    let (mut above, mut below) = (parent_of(path), path);
    while !above.is_empty() && !is_directory(files, above) {
        (above, below) = (parent_of(above), above);
    }
    let children = files.paths().filter(|child| parent_of(child) == above);
    let names: Vec<String> =
        children.map(|child| String::from_utf8_lossy(name_of(&child)).into_owned()).collect();
    let name = String::from_utf8_lossy(name_of(below));
    let near = suggest::nearest(&name, names.iter().map(String::as_str));
    let (path, folder) = (display_path(path), display_path(above));
    let near = match near {
        Some(near) => format!("did you mean {}?", text::quote(near)),
        None if names.is_empty() => "which is empty".to_owned(),
        None => format!("which has {}", text::list(&names)),
    };
    format!("the image has no {path}; the nearest folder is {folder}, {near}")
}

fn is_directory(files: &FileSystem, path: &[u8]) -> bool {
    match files.find(path) {
        Ok(Some(FoundPath::Entry(_, member))) => member.kind == MemberKind::Directory,
        Ok(Some(FoundPath::Implied)) => true,
        _ => false,
    }
}

/// Writes the files at `path` to an unnamed file, as a tar.
fn extracted(files: &FileSystem, path: &[u8], name: &[u8]) -> Result<FileSlice, BuildError> {
    let file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let mut output = BufWriter::with_capacity(128 << 10, &file);
    let written = files.write_part(path, name, &mut output);
    written.map_err(ArchiveError::writing_to_temporary_file)?;
    output.flush().map_err(ArchiveError::temporary_file)?;
    drop(output);
    Ok(FileSlice::whole(file).map_err(ArchiveError::temporary_file)?)
}

/// Whether `tar` is one file: that of a directory begins with the directory.
fn is_one_file(tar: &TarFile) -> io::Result<bool> {
    let first = TarReader::new(tar.bytes().clone()).next_member()?;
    Ok(first.is_some_and(|first| first.kind != MemberKind::Directory))
}

/// The cache of extracted files.
struct ExtractedFiles {
    tars: Option<BlobCache>,
    is_read: bool,
}

impl ExtractedFiles {
    fn open(using: CacheUse) -> Self {
        let folder = (using != CacheUse::Off).then(|| cache_dir::folder(&[FOLDER]).ok()).flatten();
        let tars = folder.map(|folder| BlobCache::new(folder, FOLDER_MAX));
        Self { tars, is_read: using != CacheUse::Verify }
    }

    /// The tar with the key `key`.
    fn get(&self, key: Digest) -> Option<FileSlice> {
        self.tars.as_ref().filter(|_| self.is_read)?.get(DiffId(key))?.verified()
    }

    /// Adds a tar. If this fails, the image is read again another time.
    fn insert(&self, key: Digest, bytes: &FileSlice) {
        let Some(tars) = &self.tars else { return };
        let add = || -> io::Result<()> {
            let Some(mut writer) = tars.begin() else { return Ok(()) };
            let digest = Digest::of_reader(bytes.clone())?;
            io::copy(&mut BufReader::with_capacity(256 << 10, bytes.clone()), &mut writer)?;
            writer.finish(DiffId(key), digest)
        };
        let _ = add();
        tars.prune();
    }
}

//! Where a file comes from.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::layers::origin_of_layer;
use super::origin::{Origin, OriginKind};
use super::placed::{PlacedPath, PlacedPaths};
use crate::archive::entry::{display_path, join, name_of, parent_of};
use crate::archive::flatten::FoundPath;
use crate::archive::tar::{Member, MemberKind, SpecialKind};
use crate::archive::tree::Tree;
use crate::archive::{ArchiveError, Compression, FileSystem, ImageSelector, open};
use crate::build::inputs::Content;
use crate::build::plan::Plan;
use crate::build::recipe::files::ContentSource;
use crate::build::write::{Format, Options, Output, assemble};
use crate::build::{BuildError, CacheUse};
use crate::text;

/// A path of the image.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedPath {
    /// The path, with symlinks in its parents resolved.
    pub path: String,
    /// Its kind: `file`, `directory`, `symlink`, `named pipe` or `device`.
    pub kind: String,
    /// The target of a symlink.
    pub target: Option<String>,
    /// Permissions in octal, `0644`; null for a directory that follows from its files.
    pub mode: Option<String>,
    /// The numeric owner; null as for the mode.
    pub uid: Option<u64>,
    /// The numeric group; null as for the mode.
    pub gid: Option<u64>,
    /// The number of its layer; the lowest is 1.
    pub layer: Option<usize>,
    /// Its origin.
    pub origin: Origin,
    /// The file of the host that it is a copy of.
    pub source: Option<String>,
    /// Whether the base image has the path too.
    pub in_base: bool,
    /// The names in a directory, with their origins.
    pub entries: Vec<ExplainedEntry>,
}

/// A name in a directory.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedEntry {
    /// The name.
    pub name: String,
    /// The number of its layer.
    pub layer: Option<usize>,
    /// Its origin.
    pub origin: Origin,
}

/// Explains the path `path` of the image of `plan`. Builds the image into a temporary file.
///
/// # Errors
/// If the image cannot be built, or has no such path.
pub fn explain_path(
    plan: &Plan,
    path: &str,
    threads: usize,
    cache: CacheUse,
) -> Result<ExplainedPath, BuildError> {
    let explainer = Explainer::new(plan, built_files(plan, threads, cache)?)?;
    let trimmed = path.trim_matches('/').as_bytes();
    let resolved = explainer.files.resolve_parents(trimmed)?.unwrap_or_else(|| trimmed.into());
    match explainer.explain(&resolved)? {
        Some(explained) => Ok(explained),
        None => Err(explainer.missing(path, &resolved)),
    }
}

/// Builds the image of `plan` into a temporary file, and reads its files.
fn built_files(plan: &Plan, threads: usize, cache: CacheUse) -> Result<FileSystem, BuildError> {
    let file = tempfile::NamedTempFile::new().map_err(ArchiveError::temporary_file)?;
    let (format, compression) = (Format::Docker, Compression::None);
    let options = Options { format, compression, threads, cache };
    assemble(plan, options, Output::File(file.as_file()), &mut |_| ())?;
    let selector = ImageSelector { limits: plan.recipe.limits, ..ImageSelector::default() };
    Ok(FileSystem::read(&open(file.path(), &selector)?, threads)?)
}

struct Explainer<'p> {
    plan: &'p Plan,
    files: FileSystem,
    /// The paths that the recipe places.
    placed: PlacedPaths,
}

impl<'p> Explainer<'p> {
    fn new(plan: &'p Plan, files: FileSystem) -> Result<Self, BuildError> {
        let placed = PlacedPaths::of(plan)?;
        Ok(Self { plan, files, placed })
    }

    fn explain(&self, path: &[u8]) -> Result<Option<ExplainedPath>, BuildError> {
        let found = match (path.is_empty(), self.files.find(path)?) {
            (true, _) => FoundPath::Implied,
            (false, Some(found)) => found,
            (false, None) => return Ok(None),
        };
        let (layer, origin, source) = self.origin(path, &found);
        let member = match &found {
            FoundPath::Entry(_, member) => Some(member),
            FoundPath::Implied => None,
        };
        let is_directory = member.is_none_or(|member| member.kind == MemberKind::Directory);
        let target = member.filter(|member| member.kind == MemberKind::Symlink);
        let in_base = self.in_base(path);
        let in_base_layer = origin.from == OriginKind::Base;
        Ok(Some(ExplainedPath {
            path: display_path(path),
            kind: member.map_or("directory", |member| noun(member)).to_owned(),
            target: target.map(|member| text::bytes(&member.link)),
            mode: member.map(|member| format!("{:04o}", member.mode)),
            uid: member.map(|member| member.uid),
            gid: member.map(|member| member.gid),
            layer,
            origin,
            source: source.map(|source| text::path(&source)),
            in_base: in_base && !in_base_layer,
            entries: if is_directory { self.entries(path)? } else { Vec::new() },
        }))
    }

    fn in_base(&self, path: &[u8]) -> bool {
        // Listing the image's files has read the base's: this does not fail here.
        let base = self.plan.base.as_ref().and_then(|base| base.tree().ok());
        !path.is_empty() && base.is_some_and(|tree: &Tree| tree.get(path).is_some())
    }

    /// The names directly in a directory.
    fn entries(&self, path: &[u8]) -> Result<Vec<ExplainedEntry>, BuildError> {
        let mut entries = Vec::new();
        for child in self.files.paths().filter(|child| parent_of(child) == path) {
            let Some(found) = self.files.find(&child)? else { continue };
            let (layer, origin, _) = self.origin(&child, &found);
            entries.push(ExplainedEntry { name: text::bytes(name_of(&child)), layer, origin });
        }
        Ok(entries)
    }

    /// The layer of a path, its origin, and the file of the host that it is a copy of.
    fn origin(&self, path: &[u8], found: &FoundPath) -> (Option<usize>, Origin, Option<PathBuf>) {
        let FoundPath::Entry(index, member) = found else {
            let detail =
                if path.is_empty() { "the root of every image" } else { "no layer has it" };
            return (None, Origin::new(OriginKind::Default, detail), None);
        };
        let number = Some(index + 1);
        let of_layer = origin_of_layer(self.plan, *index);
        let base = self.plan.base.as_ref().map_or(0, |base| base.image.layers.len());
        let planned = index.checked_sub(base).and_then(|index| self.plan.layers.get(index));
        if planned.is_none_or(|layer| layer.finished.is_some()) {
            return (number, of_layer, None);
        }
        let placed = self.placed.get(path);
        if let Some(placed) = placed.filter(|placed| placed.content.is_none()) {
            return (number, Origin::new(OriginKind::Recipe, &*placed.by), None);
        }
        if let Some((name, source)) = self.store_path(path) {
            return (number, Origin::new(OriginKind::Store, name), source);
        }
        if let Some((content, placed)) = placed.and_then(|placed| Some((placed.content?, placed))) {
            let (origin, source) = self.content(content, placed, path, member);
            return (number, origin, source);
        }
        let (kind, detail) = match self.in_base(path) {
            true => (OriginKind::Base, "the directory is repeated for the files in it"),
            false => (OriginKind::Default, "made for the files in it"),
        };
        (number, Origin::new(kind, detail), None)
    }

    /// The name of the store path that `path` is in, and the file of the host.
    fn store_path(&self, path: &[u8]) -> Option<(String, Option<PathBuf>)> {
        let store = self.plan.recipe.store.as_ref()?;
        let rest = path.strip_prefix(store.dir.as_str().trim_matches('/').as_bytes())?;
        let rest = rest.strip_prefix(b"/")?;
        let name = rest.split(|byte| *byte == b'/').next()?;
        let source = store.source.join(OsStr::from_bytes(rest));
        let source = source.symlink_metadata().is_ok().then_some(source);
        Some((String::from_utf8_lossy(name).into_owned(), source))
    }

    /// The content with the index `index`, which has `path`, and its file on the host.
    fn content(
        &self,
        index: usize,
        placed: &PlacedPath,
        path: &[u8],
        member: &Member,
    ) -> (Origin, Option<PathBuf>) {
        let content = &self.plan.contents[index];
        let source = placed.source.clone().or_else(|| match content.tar {
            Some(_) => None,
            None => file_of(content, path, member),
        });
        let detail = format!("{} {}", self.number(index), text::path(&content.source));
        (Origin::new(OriginKind::Contents, detail), source)
    }

    /// The number of a content in the recipe, which also lists finished layers.
    fn number(&self, index: usize) -> usize {
        let entries = self.plan.recipe.contents.iter().enumerate();
        let mut placed =
            entries.filter(|(_, entry)| !matches!(entry.source, ContentSource::Layer(_)));
        placed.nth(index).map_or(index, |(number, _)| number) + 1
    }

    /// The error for a path that the image does not have.
    fn missing(&self, asked: &str, resolved: &[u8]) -> BuildError {
        let mut problem = format!("the image has no {}", text::shorten(asked));
        if self.in_base(resolved) {
            problem.push_str("; a layer above the base image removes it");
        } else {
            let mut above = parent_of(resolved);
            while !above.is_empty() && !self.files.has(above) {
                above = parent_of(above);
            }
            problem.push_str(&format!("; the nearest folder is {}", display_path(above)));
        }
        BuildError::recipe(&self.plan.recipe.path, problem)
    }
}

/// The rest of `path` below `folder`; empty for the folder itself.
fn within<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    if folder.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

/// The file of the host that `content` places at `path`.
fn file_of(content: &Content, path: &[u8], member: &Member) -> Option<PathBuf> {
    let (source, entry) = (&content.source, &content.entry);
    let file = if source.is_dir() {
        source.join(OsStr::from_bytes(within(path, &entry.target)?))
    } else {
        let placed = match entry.target_is_folder {
            true => join(&entry.target, file_name(source)),
            false => entry.target.clone(),
        };
        (*placed == *path).then(|| source.clone())?
    };
    let metadata = file.symlink_metadata().ok()?;
    // A link into the store stands for a file or a folder, and followed links for other files.
    let fits = member.kind == MemberKind::Symlink
        || metadata.is_symlink()
        || metadata.is_dir() == (member.kind == MemberKind::Directory);
    fits.then_some(file)
}

fn file_name(path: &Path) -> &[u8] {
    path.file_name().unwrap_or_default().as_bytes()
}

fn noun(member: &Member) -> &'static str {
    match member.kind {
        MemberKind::Directory => "directory",
        MemberKind::Symlink => "symlink",
        MemberKind::File | MemberKind::HardLink => "file",
        MemberKind::Special(SpecialKind::Fifo) => "named pipe",
        MemberKind::Special(_) => "device",
    }
}

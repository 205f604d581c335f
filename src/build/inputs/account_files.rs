//! The files with accounts of the image: read from the base and the contents, and written with the
//! recipe's own.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::base::Base;
use super::contents::Content;
use crate::archive::entry::Xattrs;
use crate::archive::layer_tree::normalize;
use crate::archive::resolve::{PathNode, walk};
use crate::archive::tar::MemberKind;
use crate::archive::tar_file::TarFile;
use crate::archive::tree::{Node, Tree};
use crate::archive::{ArchiveError, files, host};
use crate::build::BuildError;
use crate::build::recipe::Recipe;
use crate::build::recipe::files::{
    Account, ConflictRule, Creation, FILE_MODE, FileSource, OwnerSpec, PathAction,
    accounts::{Database, Owner},
};

/// The files, in the order of [`Database::files`].
const PATHS: [&str; 3] = ["etc/passwd", "etc/group", "etc/shadow"];
/// The size of the largest of them that is read, in bytes.
const SIZE_MAX: u64 = 4 << 20;

/// The accounts of an image.
#[derive(Clone, Debug, Default)]
pub(in crate::build) struct ImageAccounts {
    database: Database,
    /// The files to write.
    pub(in crate::build) files: Vec<AccountFile>,
    /// Whether neither the base nor a content has accounts.
    pub(in crate::build) is_new: bool,
}

/// A file with accounts.
#[derive(Clone, Debug)]
pub(in crate::build) struct AccountFile {
    pub(in crate::build) path: &'static str,
    pub(in crate::build) bytes: Vec<u8>,
    pub(in crate::build) found: Found,
}

/// A file as it was found.
#[derive(Clone, Debug, Default)]
pub(in crate::build) struct Found {
    bytes: Vec<u8>,
    pub(in crate::build) mode: u32,
    /// The owner, if it is not the recipe's.
    pub(in crate::build) owner: Option<(u64, u64)>,
    pub(in crate::build) xattrs: Xattrs,
}

impl ImageAccounts {
    /// Reads the accounts of the base and the contents if the recipe needs them, and adds its own.
    pub(in crate::build) fn new(
        recipe: &Recipe,
        base: Option<&Base>,
        contents: &[Content],
    ) -> Result<Self, BuildError> {
        if recipe.accounts.is_none() && !needs_names(recipe) {
            return Ok(Self::default());
        }
        let mut found = Files::default();
        for content in contents {
            let newer = of_content(content)?;
            match recipe.on_conflict {
                ConflictRule::First => fill(&mut found, newer),
                _ => found = filled(newer, found),
            }
        }
        found = filled(of_paths(recipe)?, found);
        fill(&mut found, base.map(of_base).transpose()?.unwrap_or_default());
        let bytes = |index: usize| found[index].as_ref().map(|found| found.bytes.as_slice());
        let invalid =
            |problem: String| BuildError::recipe(&recipe.path, format!("accounts: {problem}"));
        let mut database = Database::new(bytes(0), bytes(1), bytes(2)).map_err(invalid)?;
        let is_new = bytes(0).is_none() && bytes(1).is_none();
        let mut files = Vec::new();
        if let Some(accounts) = &recipe.accounts {
            database.add(accounts).map_err(invalid)?;
            let texts = PATHS.into_iter().zip(database.files()).zip(found);
            files = texts
                .filter_map(|((path, bytes), found)| {
                    let found = found.unwrap_or(Found { mode: 0o644, ..Found::default() });
                    Some(AccountFile { path, bytes: bytes?, found })
                })
                .collect();
        }
        Ok(Self { database, files, is_new })
    }

    /// The numbers and names of `owner`, which is in `place` of the recipe.
    pub(super) fn resolve(
        &self,
        recipe: &Recipe,
        place: &str,
        owner: Option<&OwnerSpec>,
    ) -> Result<Option<Owner>, BuildError> {
        let resolved = owner.map(|owner| self.database.resolve(owner)).transpose();
        resolved.map_err(|problem| BuildError::recipe(&recipe.path, format!("{place}: {problem}")))
    }
}

/// Whether an owner in the recipe is a name.
fn needs_names(recipe: &Recipe) -> bool {
    let of_contents = recipe.contents.iter().filter_map(|content| content.owner.as_ref());
    let of_paths = recipe.paths.iter().filter_map(|path| path.owner.as_ref());
    let is_name = |account: &Account| matches!(account, Account::Name(_));
    of_contents
        .chain(of_paths)
        .any(|owner| is_name(&owner.user) || owner.group.as_ref().is_some_and(is_name))
}

type Files = [Option<Found>; 3];

/// Adds those of `others` that `files` does not have.
fn fill(files: &mut Files, others: Files) {
    for (file, other) in files.iter_mut().zip(others) {
        *file = file.take().or(other);
    }
}

fn filled(mut files: Files, others: Files) -> Files {
    fill(&mut files, others);
    files
}

/// The files that the recipe's single paths make.
fn of_paths(recipe: &Recipe) -> Result<Files, BuildError> {
    let mut files = Files::default();
    for entry in &recipe.paths {
        let index = PATHS.iter().position(|known| known.as_bytes() == &*entry.path);
        let (Some(index), PathAction::Create(Creation::File(source))) = (index, &entry.action)
        else {
            continue;
        };
        let (bytes, mode) = match source {
            FileSource::Inline(bytes) => (bytes.to_vec(), FILE_MODE),
            FileSource::Path(source) => {
                let failed = ArchiveError::read(source);
                let source = source.canonicalize().map_err(failed)?;
                let Some(found) = of_file(&source)? else { continue };
                (found.bytes, found.mode)
            }
        };
        files[index] = Some(Found { bytes, mode, ..Found::default() });
    }
    Ok(files)
}

fn of_base(base: &Base) -> Result<Files, BuildError> {
    let tree = base.tree()?;
    let real: Vec<String> = PATHS.iter().filter_map(|path| behind_links(tree, path)).collect();
    let real: Vec<&str> = real.iter().map(String::as_str).collect();
    let mut found = files::find(&base.image, tree, &real)?;
    let mut files = Files::default();
    for (file, path) in files.iter_mut().zip(PATHS) {
        let info = behind_links(tree, path).and_then(|path| found.remove(&path));
        let Some(info) = info else { continue };
        let bytes = info.content.filter(|bytes| bytes.len() as u64 <= SIZE_MAX);
        let Some(bytes) = bytes.filter(|_| info.kind == MemberKind::File) else {
            let problem = format!("/{path} of the base image is not a file with accounts");
            return Err(ArchiveError::invalid(&base.image.path, problem).into());
        };
        let owner = Some((info.uid, info.gid));
        *file = Some(Found { bytes, mode: info.mode, owner, xattrs: info.xattrs });
    }
    Ok(files)
}

/// The path of the file `path` in the base, after following symlinks such as those into a store.
fn behind_links(tree: &Tree, path: &str) -> Option<String> {
    let lookup = |path: &[u8]| -> Result<PathNode, Infallible> {
        Ok(match tree.get(path) {
            Some(Node::Symlink(target)) => PathNode::Symlink(target.to_vec()),
            _ => PathNode::Other,
        })
    };
    let Ok(found) = walk(path.as_bytes(), true, &mut 0, lookup);
    let found = found.ok()?;
    tree.get(&found)?;
    String::from_utf8(found.into()).ok()
}

fn of_content(content: &Content) -> Result<Files, BuildError> {
    let mut files = match &content.tar {
        Some(tar) => of_tar(content, tar)?,
        None => of_source(content)?,
    };
    if let Some(mode) = &content.entry.mode {
        files.iter_mut().flatten().for_each(|found| found.mode = mode.apply(found.mode, false));
    }
    Ok(files)
}

/// The path within `content` of the file that is at `path` in the image, if it may have one: its
/// files are in the folder `target`.
fn within<'p>(content: &Content, path: &'p str) -> Option<&'p [u8]> {
    let target = &*content.entry.target;
    match target.is_empty() {
        true => Some(path.as_bytes()),
        false => path.as_bytes().strip_prefix(target)?.strip_prefix(b"/"),
    }
}

fn of_source(content: &Content) -> Result<Files, BuildError> {
    let mut files = Files::default();
    let mut used = Vec::new();
    let is_folder = content.source.is_dir();
    let name = content.source.file_name().unwrap_or_default().as_bytes();
    for (file, path) in files.iter_mut().zip(PATHS) {
        let (source, relative) = match (is_folder, within(content, path)) {
            (true, Some(relative)) => {
                (content.source.join(OsStr::from_bytes(relative)), Some(relative))
            }
            (false, relative) => {
                let is_it = match content.entry.target_is_folder {
                    true => relative == Some(name),
                    false => *content.entry.target == *path.as_bytes(),
                };
                (content.source.clone(), is_it.then_some(name))
            }
            (true, None) => continue,
        };
        if relative.is_some_and(|relative| content.entry.globs.select(relative, &mut used)) {
            *file = of_file(&source)?;
        }
    }
    Ok(files)
}

/// The regular file `source`, if there is one.
fn of_file(source: &Path) -> Result<Option<Found>, BuildError> {
    // Links are not followed: they may lead to the accounts of this host.
    let Ok(opened) = host::open(source, OFlags::RDONLY) else { return Ok(None) };
    let opened = File::from(opened);
    let metadata = opened.metadata().map_err(ArchiveError::read(source))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let bytes = read(opened, source)?;
    let mode = super::walk::Metadata::of(source)?.mode();
    Ok(Some(Found { bytes, mode, ..Found::default() }))
}

fn of_tar(content: &Content, tar: &TarFile) -> Result<Files, BuildError> {
    let mut files = Files::default();
    let mut used = Vec::new();
    tar.members(|member, position| -> Result<(), BuildError> {
        let path = normalize(&member.path).unwrap_or_default();
        let index = PATHS.iter().position(|known| within(content, known) == Some(&*path));
        let Some(index) = index.filter(|_| member.kind == MemberKind::File && !member.sparse)
        else {
            return Ok(());
        };
        if content.entry.globs.select(&path, &mut used) {
            let bytes = read(tar.bytes().part(position, member.size), tar.path())?;
            let owner = Some((member.uid, member.gid));
            files[index] = Some(Found { bytes, mode: member.mode, owner, xattrs: member.xattrs });
        }
        Ok(())
    })?;
    Ok(files)
}

fn read(source: impl Read, path: &Path) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Vec::new();
    source.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(ArchiveError::read(path))?;
    match bytes.len() as u64 > SIZE_MAX {
        true => Err(BuildError::content(path, "a file with accounts of more than 4 MiB")),
        false => Ok(bytes),
    }
}

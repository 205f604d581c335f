//! The files with accounts of the image: read from the base and the contents, and written with the
//! recipe's own.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::OFlags;

use super::BuildError;
use super::base::Base;
use super::files::accounts::{Database, Owner};
use super::files::{Account, OwnerSpec};
use super::inputs::Content;
use super::recipe::Recipe;
use crate::archive::entry::Xattrs;
use crate::archive::layer_tree::normalize;
use crate::archive::tar::MemberKind;
use crate::archive::tar_file::TarFile;
use crate::archive::{ArchiveError, files, host};

/// The files, in the order of [`Database::files`].
const PATHS: [&str; 3] = ["etc/passwd", "etc/group", "etc/shadow"];
/// The size of the largest of them that is read, in bytes.
const SIZE_MAX: u64 = 4 << 20;

/// The accounts of an image.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageAccounts {
    database: Database,
    /// The files to write.
    pub(super) files: Vec<AccountFile>,
    /// Whether neither the base nor a content has accounts.
    pub(super) is_new: bool,
}

/// A file with accounts.
#[derive(Clone, Debug)]
pub(super) struct AccountFile {
    pub(super) path: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) found: Found,
}

/// A file as it was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    bytes: Vec<u8>,
    pub(super) mode: u32,
    /// The owner, if it is not the recipe's.
    pub(super) owner: Option<(u64, u64)>,
    pub(super) xattrs: Xattrs,
}

impl ImageAccounts {
    /// Reads the accounts of the base and the contents if the recipe needs them, and adds its own.
    pub(super) fn new(
        recipe: &Recipe,
        base: Option<&Base>,
        contents: &[Content],
    ) -> Result<Self, BuildError> {
        if recipe.accounts.is_none() && !needs_names(recipe) {
            return Ok(Self::default());
        }
        let mut found = base.map(of_base).transpose()?.unwrap_or_default();
        for content in contents.iter().filter(|content| content.entry.target.is_empty()) {
            let newer = of_content(content)?;
            for (found, newer) in found.iter_mut().zip(newer) {
                *found = newer.or_else(|| found.take());
            }
        }
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

fn of_base(base: &Base) -> Result<Files, BuildError> {
    let mut found = files::find(&base.image, base.tree()?, &PATHS)?;
    let mut files = Files::default();
    for (file, path) in files.iter_mut().zip(PATHS) {
        let Some(info) = found.remove(path) else { continue };
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

fn of_content(content: &Content) -> Result<Files, BuildError> {
    match &content.tar {
        Some(tar) => of_tar(content, tar),
        None if content.source.is_dir() => of_folder(content),
        None => Ok(Files::default()),
    }
}

fn of_folder(content: &Content) -> Result<Files, BuildError> {
    let mut files = Files::default();
    let mut used = Vec::new();
    for (file, path) in files.iter_mut().zip(PATHS) {
        if !content.entry.globs.select(path.as_bytes(), &mut used) {
            continue;
        }
        let source = content.source.join(path);
        // Links are not followed: they may lead to the accounts of this host.
        let Ok(opened) = host::open(&source, OFlags::RDONLY) else { continue };
        let opened = File::from(opened);
        let metadata = opened.metadata().map_err(ArchiveError::read(&source))?;
        if !metadata.is_file() {
            continue;
        }
        let bytes = read(opened, &source)?;
        let mode = super::walk::Metadata::of(&source)?.mode();
        *file = Some(Found { bytes, mode, ..Found::default() });
    }
    Ok(files)
}

fn of_tar(content: &Content, tar: &TarFile) -> Result<Files, BuildError> {
    let mut files = Files::default();
    let mut used = Vec::new();
    tar.members(|member, position| -> Result<(), BuildError> {
        let path = normalize(&member.path).unwrap_or_default();
        let index = PATHS.iter().position(|known| known.as_bytes() == &*path);
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

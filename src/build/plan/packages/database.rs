//! Reads the databases of package managers from the contents of an image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use rustix::fs::OFlags;

use super::{Package, Packages, apk, dpkg};
use crate::archive::entry::{Entry, FileContent, Kind, display_path};
use crate::archive::tar_file::TarFile;
use crate::archive::tree::Node;
use crate::archive::{ArchiveError, host};
use crate::build::BuildError;
use crate::build::merge::Merged;
use crate::build::place::ImagePath;
use crate::packages::apk::INSTALLED;

/// The size of the largest file of a database that is read, in bytes, and of all together.
const FILE_MAX: u64 = 64 << 20;
const TOTAL_MAX: u64 = 256 << 20;

/// Reads the packages of `merged`; `None` if it has no database.
pub(in crate::build::plan) fn read(merged: &Merged<'_>) -> Result<Option<Packages>, BuildError> {
    let mut debian = dpkg::Database::default();
    let mut installed: Option<String> = None;
    // Links such as /bin to usr/bin: databases may have paths through them.
    let mut links: BTreeMap<ImagePath, ImagePath> = BTreeMap::new();
    let mut left = TOTAL_MAX;
    merged.each(&mut |entry| {
        let path = &entry.path;
        match &entry.kind {
            Kind::Symlink(target) if !path.contains(&b'/') => {
                links.insert(path.clone(), target.clone());
            }
            Kind::File(content) => {
                let mut text = || self::text(entry, content, merged.tars(), &mut left);
                if INSTALLED.iter().any(|installed| installed.as_bytes() == &**path) {
                    installed = Some(text()?);
                } else {
                    debian.add(path, text)?;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    let (mut packages, prefix) = match (debian.packages(), installed) {
        (Some(packages), _) => (packages, "deb"),
        (None, Some(installed)) => (apk::packages(&installed), "apk"),
        (None, None) => return Ok(None),
    };
    let target = |name: &[u8]| -> Option<ImagePath> {
        let target: &[u8] = match (links.get(name), merged.base().get(name)) {
            (Some(target), _) | (None, Some(Node::Symlink(target))) => target,
            _ => return None,
        };
        Some(target.strip_prefix(b"/").unwrap_or(target).into())
    };
    for package in &mut packages {
        // Many packages name such a link as if it were a directory.
        package.files.retain(|path| target(path).is_none());
        resolve(package, target);
    }
    Ok(Some(Packages { packages, prefix }))
}

/// Follows links in the first component of the package's paths.
fn resolve(package: &mut Package, target: impl Fn(&[u8]) -> Option<ImagePath>) {
    for path in &mut package.files {
        let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
        let (first, rest) = path.split_at(end);
        if !rest.is_empty()
            && let Some(target) = target(first)
        {
            *path = [&*target, rest].concat().into();
        }
    }
}

/// The text of `entry`, a file with `content`.
fn text(
    entry: &Entry,
    content: &FileContent,
    tars: &[TarFile],
    left: &mut u64,
) -> Result<String, BuildError> {
    let max = FILE_MAX.min(*left);
    let mut bytes = Vec::new();
    let path = || entry.source().unwrap_or_else(|| display_path(&entry.path).into());
    let read = match content {
        FileContent::Host(_) => {
            let opened =
                host::open(&path(), OFlags::RDONLY).map_err(ArchiveError::read(&path()))?;
            File::from(opened).take(max + 1).read_to_end(&mut bytes)
        }
        FileContent::Inline(content) => content.take(max + 1).read_to_end(&mut bytes),
        FileContent::Part { tar, offset, size } => {
            let part = tars[*tar as usize].bytes().part(*offset, *size);
            part.take(max + 1).read_to_end(&mut bytes)
        }
    };
    read.map_err(ArchiveError::read(&path()))?;
    if bytes.len() as u64 > max {
        let problem = "the database of packages is too large: more than 64 MiB in a file, or 256 \
                       MiB in all";
        return Err(BuildError::content(path(), problem));
    }
    *left -= bytes.len() as u64;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

//! Symlinks within an image: where a path really is.

use std::convert::Infallible;

use super::entry::{display_path, join, parent_of};
use super::tar::PATH_MAX;
use super::tree::{Node, Tree};
use crate::linux::LINKS_MAX;

/// A path that cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Symlinks form a loop.
    #[error("{} contains more than {LINKS_MAX} symlinks of the image", display_path(.0))]
    Loop(Box<[u8]>),
    /// Symlinks make the path too long.
    #[error("{} leads through symlinks to a path of more than {PATH_MAX} bytes", display_path(.0))]
    TooLong(Box<[u8]>),
    /// A component of the path is not a directory.
    #[error(
        "{} is below {}, which is a file in the image",
        display_path(.0),
        display_path(.1)
    )]
    File(Box<[u8]>, Box<[u8]>),
}

/// The work of each component of a path, in addition to the length of the path to it.
const COMPONENT_WORK: u64 = 64;

/// Resolves the symlinks in the path of a directory, including the last component, within the
/// image. `node_at` returns the node at a path. Components that do not exist stay as they are.
///
/// # Errors
/// If symlinks form a loop or make the path too long, or a component is a file.
pub fn resolve<'a>(
    path: &[u8],
    node_at: impl Fn(&[u8]) -> Option<&'a Node>,
) -> Result<Box<[u8]>, ResolveError> {
    resolve_counted(path, &mut 0, node_at)
}

/// Like [`resolve`], and adds the work to `work`, as [`walk`] does.
pub(super) fn resolve_counted<'a>(
    path: &[u8],
    work: &mut u64,
    node_at: impl Fn(&[u8]) -> Option<&'a Node>,
) -> Result<Box<[u8]>, ResolveError> {
    let lookup = |path: &[u8]| -> Result<PathNode, Infallible> {
        Ok(match node_at(path) {
            Some(Node::Symlink(target)) => PathNode::Symlink(target.to_vec()),
            Some(Node::File) => PathNode::File,
            Some(Node::Directory(_)) | None => PathNode::Other,
        })
    };
    let Ok(resolved) = walk(path, true, work, lookup);
    resolved
}

/// Returns the path of the file to which symlinks at `path` and in its folders lead in an image,
/// which need not exist.
///
/// # Errors
/// If symlinks form a loop or make the path too long.
pub(crate) fn target(path: &[u8], tree: &Tree) -> Result<Box<[u8]>, ResolveError> {
    let lookup = |path: &[u8]| -> Result<PathNode, Infallible> {
        Ok(match tree.get(path) {
            Some(Node::Symlink(target)) => PathNode::Symlink(target.to_vec()),
            // There is nothing below a file, which a search for the path finds out.
            _ => PathNode::Other,
        })
    };
    let Ok(resolved) = walk(path, true, &mut 0, lookup);
    resolved
}

/// The node at a component of a path that [`walk`] follows.
pub(crate) enum PathNode {
    /// A symlink with this target.
    Symlink(Vec<u8>),
    /// A file, below which there is nothing.
    File,
    /// A directory, nothing, or anything that may be the last component.
    Other,
}

/// Follows `path` component by component within the image, through symlinks; through one at its end
/// only if `follow_last`. `lookup` returns the node at a path, or fails; then this does.
///
/// Adds the work to `work`, for limits on images that others made: targets such as `a/../a/../a`
/// are long, and lead to short paths. The work is the bytes of the paths that are looked up, and
/// [`COMPONENT_WORK`] for each component, `.` and `..` included.
pub(crate) fn walk<E>(
    path: &[u8],
    follow_last: bool,
    work: &mut u64,
    mut lookup: impl FnMut(&[u8]) -> Result<PathNode, E>,
) -> Result<Result<Box<[u8]>, ResolveError>, E> {
    let split = |path: &[u8], work: &mut u64| -> Vec<Vec<u8>> {
        let parts: Vec<_> = path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect();
        *work += parts.len() as u64 * COMPONENT_WORK;
        parts
    };
    let (mut remaining, mut resolved, mut links) = (split(path, work), Box::<[u8]>::default(), 0);
    while let Some(part) = remaining.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                resolved = parent_of(&resolved).into();
                continue;
            }
            _ => {}
        }
        let next = join(&resolved, &part);
        *work += next.len() as u64;
        let is_last = remaining.is_empty() && !follow_last;
        match if is_last { PathNode::Other } else { lookup(&next)? } {
            PathNode::Symlink(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return Ok(Err(ResolveError::Loop(path.into())));
                }
                if target.starts_with(b"/") {
                    resolved = Box::default();
                }
                remaining.extend(split(&target, work));
            }
            PathNode::File => return Ok(Err(ResolveError::File(path.into(), next))),
            PathNode::Other => resolved = next,
        }
        if resolved.len() > PATH_MAX {
            return Ok(Err(ResolveError::TooLong(path.into())));
        }
    }
    Ok(Ok(resolved))
}

/// The work of looking up each directory above `path`.
pub(super) fn lookup_work(path: &[u8]) -> u64 {
    let components = path.split(|byte| *byte == b'/').count() as u64;
    components * (COMPONENT_WORK + path.len() as u64)
}

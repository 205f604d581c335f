//! Symlinks and the like in the layers below, which extended attributes cannot record owners of.

use std::collections::BTreeMap;

use super::owner::Owner;

/// A symlink, or a file of another kind without attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Special {
    pub(crate) path: Box<[u8]>,
    /// The target of a symlink; otherwise empty.
    pub(crate) target: Box<[u8]>,
    /// The modification time in seconds.
    pub(crate) mtime: i64,
    pub(crate) owner: Owner,
}

impl Special {
    /// Writes `specials` as fields, each of them with a NUL behind it.
    pub(crate) fn write<'a>(specials: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for special in specials {
            let (mtime, owner) = (special.mtime.to_string(), special.owner.to_string());
            for field in [&*special.path, &special.target, mtime.as_bytes(), owner.as_bytes()] {
                bytes.extend_from_slice(field);
                bytes.push(0);
            }
        }
        bytes
    }

    /// Reads what [`write`](Self::write) has written.
    pub(crate) fn read(bytes: &[u8]) -> Vec<Self> {
        let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        let special = |fields: &[&[u8]]| {
            let [path, target, mtime, owner] = fields else { return None };
            let mtime = std::str::from_utf8(mtime).ok()?.parse().ok()?;
            let (path, target) = ((*path).into(), (*target).into());
            Some(Self { path, target, mtime, owner: Owner::parse(owner)? })
        };
        fields.chunks_exact(4).filter_map(special).collect()
    }
}

/// The owners of specials in the layers below, other than root, by path.
#[derive(Debug, Default)]
pub(super) struct BaseOwners(BTreeMap<Box<[u8]>, Special>);

impl BaseOwners {
    pub(super) fn new(specials: Vec<Special>) -> Self {
        Self(specials.into_iter().map(|special| (special.path.clone(), special)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The owner of the file at `path` with this target and time, if it is from a layer below.
    pub(super) fn get(&self, path: &[u8], target: &[u8], mtime: i64) -> Option<Owner> {
        let special = self.0.get(path)?;
        (*special.target == *target && special.mtime == mtime).then_some(special.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specials_are_read_as_they_are_written() {
        let owner = Owner { uid: 1, gid: 2 };
        let special = |path: &[u8], target: &[u8]| Special {
            path: path.into(),
            target: target.into(),
            mtime: -5,
            owner,
        };
        let specials = [special(b"a/\xff", b"../b c"), special(b"pipe", b"")];
        assert_eq!(Special::read(&Special::write(&specials)), specials);
        let owners = BaseOwners::new(specials.to_vec());
        assert_eq!(owners.get(b"pipe", b"", -5), Some(owner));
        assert_eq!(owners.get(b"pipe", b"", 0), None);
    }
}

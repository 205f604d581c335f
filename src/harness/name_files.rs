//! The files for the names of hosts that an engine mounts into a container: `/etc/hosts`,
//! `/etc/hostname` and `/etc/resolv.conf`.

/// A container's files in a folder of the guest. The container may change them.
#[derive(Debug)]
pub(super) struct NameFiles {
    pub(super) folder: String,
    pub(super) hostname: String,
}

//! Recorded owners: files of several owners for a user who can only have files of their own.
//!
//! A user without a range of IDs has a single ID in a user namespace: root. The supervisor here
//! answers the system calls of a step that set, show or decide owners. It does not change the
//! owners of files, but records them: in an extended attribute of files and folders, and in its
//! memory for all others, which cannot have attributes of this kind. Since it works below the C
//! library, static programs are no exception.
//!
//! | system calls | answer |
//! |---|---|
//! | `chown` and its kin | the owner is recorded; setuid bits go as usual |
//! | `stat` and its kin | the recorded owner |
//! | `setuid`, `getuid`, `setgroups` and their kin | what they set holds for the process and its children |
//! | those that create files | the owner is the process' one, or the group that of a setgid folder |
//!
//! The kernel handles every other call, and all of these for files and processes of root. It checks
//! permissions, too, and for it every process is root.

mod base;
mod calls;
mod create;
mod credentials;
mod files;
mod filter;
mod identity;
mod linux;
mod notifications;
mod owner;
mod process;
mod supervisor;

pub use self::owner::{Owner, RecordedOwners};
pub(crate) use self::supervisor::supervise;

pub(crate) use self::base::Special;
pub(super) use self::owner::ATTRIBUTE;

/// The subcommand of this program that runs [`supervise`].
pub(crate) const SUBCOMMAND: &str = "step-owners";
/// The file in the working folder with the symlinks and the like of the layers below.
pub(super) const BASE: &str = "base-owners";
/// The file in the working folder that [`supervise`] writes at the end.
pub(super) const RECORDED: &str = "recorded-owners";

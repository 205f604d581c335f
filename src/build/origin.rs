//! The sources of a layer's entries: plain data for placing and merging them.

use std::path::PathBuf;

/// How a content appears in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// As a copy.
    Copied,
    /// As directories with symlinks to the files in the store.
    Linked,
}

/// A symlink into the store that leads to a folder. If another content needs the same path, it is
/// expanded to a directory with links to the folder's files.
pub(super) struct ExpandableLink {
    /// The folder on the host.
    pub(super) folder: PathBuf,
    /// The content, as an index.
    pub(super) origin: u32,
}

/// The source of entries.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Its name, for errors.
    pub(super) name: String,
    /// The key of the recipe that it is from.
    pub(super) key: &'static str,
    /// Which of two origins with a file at the same path counts.
    pub(super) priority: Priority,
    /// Whether its last entry for a path counts, as in a tar.
    pub(super) last_wins: bool,
}

/// The priority of an origin: the higher one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    Helper,
    Content,
    Path,
}

impl Origin {
    pub(super) fn content(name: String) -> Self {
        Self { name, key: "contents", priority: Priority::Content, last_wins: false }
    }

    pub(super) fn helper(name: &str) -> Self {
        let name = format!("the helper {name}");
        Self { name, key: "helpers", priority: Priority::Helper, last_wins: false }
    }

    /// Files that accounts need and that contents may have.
    pub(super) fn account_helper() -> Self {
        Self { key: "accounts", ..Self::helper("accounts") }
    }

    pub(super) fn accounts() -> Self {
        Self { key: "accounts", ..Self::of_path("accounts".to_owned()) }
    }

    pub(super) fn of_path(name: String) -> Self {
        Self { name, key: "path", priority: Priority::Path, last_wins: true }
    }
}

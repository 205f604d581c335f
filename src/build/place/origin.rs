//! The sources of a layer's entries: plain data for placing and merging them.

/// How a content appears in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::build) enum Placement {
    /// As a copy.
    Copied,
    /// As directories with symlinks to the files in the store.
    Linked,
}

/// The source of entries.
#[derive(Clone, Debug)]
pub(in crate::build) struct Origin {
    /// Its name, for errors.
    pub(in crate::build) name: String,
    /// The key of the recipe that it is from.
    pub(in crate::build) key: &'static str,
    /// Which of two origins with a file at the same path counts.
    pub(in crate::build) priority: Priority,
    /// Whether its last entry for a path counts, as in a tar.
    pub(in crate::build) last_wins: bool,
}

/// The priority of an origin: the higher one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::build) enum Priority {
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

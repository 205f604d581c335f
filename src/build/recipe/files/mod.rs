//! The parts of a recipe that describe files: contents, single paths, accounts and helpers.

pub(in crate::build) mod accounts;
mod capabilities;
mod content;
mod globs;
mod helpers;
mod mode;
mod named_layer;
mod owner;
mod path_entry;
mod rules;
pub(super) mod settings;

pub use accounts::{Accounts, Group, User};
pub(in crate::build) use content::IMAGE_KEY;
pub use content::{ContentEntry, ContentSource, ImageFiles};
pub use globs::Globs;
pub(in crate::build) use globs::Used;
pub use helpers::Helper;
pub use mode::ModeRule;
pub use named_layer::NamedLayer;
pub(super) use named_layer::named_layers;
pub use owner::{Account, OwnerSpec};
pub(in crate::build) use path_entry::FILE_MODE;
pub use path_entry::{Creation, FileSource, PathAction, PathEntry};
pub use rules::{ConflictRule, XattrRule};

use std::path::{Path, PathBuf};

use crate::text;

/// The path on this host that `text`, the value of `key`, names, relative to `folder`.
pub(super) fn host_path(key: &str, folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err(format!("{key}: the path is empty; \".\" is the recipe's folder"));
    }
    Ok(folder.join(text))
}

/// The path in the image that `text` names, without slashes at either end. Empty for the root.
fn image_path(key: &str, text: &str) -> Result<Box<[u8]>, String> {
    let parts: Vec<&str> =
        text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let problem = if parts.contains(&"..") {
        "contains \"..\""
    } else if text.contains('\0') {
        "contains a NUL"
    } else {
        return Ok(parts.join("/").into_bytes().into());
    };
    Err(format!(
        "{key}: {} {problem}; expected a path in the image, such as \"/srv/app\"",
        text::quote(text)
    ))
}

/// As [`image_path`], of a path that is not the root.
fn path_below_root(key: &str, text: &str) -> Result<Box<[u8]>, String> {
    let path = image_path(key, text)?;
    match path.is_empty() {
        true => Err(format!("{key}: {} is the root of the image", text::quote(text))),
        false => Ok(path),
    }
}

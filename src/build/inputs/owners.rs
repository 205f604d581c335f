//! Owners of contents and single paths, by number.

use super::account_files::ImageAccounts;
use super::contents::{Content, FinishedLayer, PlannedPath};
use crate::archive::entry::display_path;
use crate::archive::tree::Node;
use crate::build::BuildError;
use crate::build::recipe::Recipe;
use crate::build::recipe::files::PathEntry;
use crate::text;

/// Sets the owners of contents.
pub(in crate::build) fn set_owners(
    contents: &mut [Content],
    recipe: &Recipe,
    accounts: &ImageAccounts,
) -> Result<(), BuildError> {
    for content in contents {
        let owner = content.entry.owner.as_ref();
        content.owner = accounts.resolve(recipe, "contents", owner)?;
    }
    Ok(())
}

/// The recipe's single paths with their owners.
pub(in crate::build) fn planned_paths(
    recipe: &Recipe,
    accounts: &ImageAccounts,
    finished: &[FinishedLayer],
) -> Result<Vec<PlannedPath>, BuildError> {
    let path = |entry: &PathEntry| {
        let shown = format!("path {}", display_path(&entry.path));
        let above = finished.iter().find(|layer| {
            matches!(layer.tree.get(&entry.path), Some(Node::File | Node::Symlink(_)))
        });
        if let Some(layer) = above {
            let layer = text::path(layer.tar.path());
            let problem = format!("{shown}: the layer {layer}, which lies above, has it too");
            return Err(BuildError::recipe(&recipe.path, problem));
        }
        let owner = accounts.resolve(recipe, &shown, entry.owner.as_ref())?;
        Ok(PlannedPath { entry: entry.clone(), owner })
    };
    recipe.paths.iter().map(path).collect()
}

//! Names that the command line gives an image instead of its recipe.

use super::Recipe;
use crate::image::{Name, Tag};

/// The name and tags that replace those of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The repository name; `None` for the recipe's.
    pub name: Option<Name>,
    /// The tags, the main one first; none for those of the recipe.
    pub tags: Vec<Tag>,
}

impl Overrides {
    /// Replaces the name and the tags of `recipe`.
    pub(super) fn apply(&self, recipe: Recipe) -> Recipe {
        let name = self.name.clone().unwrap_or(recipe.name);
        let mut tags: Vec<Tag> = Vec::new();
        for tag in &self.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let tags = if tags.is_empty() { recipe.tags } else { tags };
        Recipe { name, tags, ..recipe }
    }
}

//! The merging of placed contents into the entries of a layer: shared directories become one, other
//! duplicates are conflicts, and every file has the directories that lead to it.
//!
//! Reads nothing but what was placed, and leaves the split into layers to `plan`.

mod expansions;
mod hard_links;
mod merged;
mod merged_layer;
mod replaced;
mod winners;

pub(super) use merged::Merged;

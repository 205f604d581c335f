//! Errors of reference graphs and closures.

use super::{NotInStore, StorePath};
use crate::text;

/// The command that writes the reference graph of `path`, with every version of Nix.
pub(crate) fn graph_command(path: &str) -> String {
    format!("nix-store --dump-db $(nix-store --query --requisites {path})")
}

/// An invalid or incomplete reference graph.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// The text is not a reference graph.
    #[error(
        "not a reference graph: {}; write one with: {}",
        text::excerpt(.0), graph_command("PATH")
    )]
    Unknown(String),
    /// The text is something else that Nix prints, which does not have what is needed.
    #[error(
        "{name} is not a reference graph that can be read; write one with: {command}",
        name = .0, command = graph_command("PATH")
    )]
    OtherOutput(&'static str),
    /// The graph is for another store.
    #[error(
        "the reference graph is for the store {}, but the recipe's is {dir}; set store.dir",
        text::quote(.found)
    )]
    OtherStore {
        /// The store's folder in the graph.
        found: String,
        /// The store's folder in the recipe.
        dir: String,
    },
    /// A path is not directly in the store.
    #[error(transparent)]
    NotInStore(#[from] NotInStore),
    /// Nix listed a path that its store does not have.
    #[error("{} is not valid: Nix did not have it when it wrote the graph", text::shorten(.0))]
    Invalid(String),
    /// The graph lists a path twice.
    #[error("the reference graph lists {} twice", text::shorten(.0.as_str()))]
    Duplicate(StorePath),
    /// Two graphs in one file have different facts about a path.
    #[error("the reference graphs disagree about {}", text::shorten(.0.as_str()))]
    Contradiction(StorePath),
    /// The graph has more paths or references than the limit.
    #[error("the reference graph has more than {1} {0}, which is the limit")]
    TooLarge(&'static str, usize),
    /// Something refers to a path that the graph does not have.
    #[error(
        "{from} refers to {to}, which the reference graph does not have; write the graph with: \
         {command}",
        from = text::shorten(.from), to = text::shorten(.to.as_str()),
        command = graph_command(&text::shorten(.to.as_str()))
    )]
    Missing {
        /// A store path, or a key of the recipe.
        from: String,
        /// The missing path.
        to: StorePath,
    },
}

//! The operations of a pipeline.

use std::num::NonZeroUsize;

use crate::closure::{Closure, StorePath};
use crate::text;
use crate::text::suggest;

/// A list of operations on a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline(pub Vec<Operation>);

/// An operation of a pipeline. Paths are full store paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A graph becomes a list of graphs with one path each, most popular first.
    PopularityContest,
    /// A graph becomes a table: `main` has the given paths and what only they need, `common` what
    /// the rest needs too, `rest` everything else. Empty parts are left out.
    SplitPaths(Vec<PathSpec>),
    /// A graph becomes a table: `main` has the given paths and everything that they need, `rest`
    /// everything else.
    SubcomponentOut(Vec<String>),
    /// A graph becomes a table: `main` has the given paths and everything that needs them, `rest`
    /// everything else.
    SubcomponentIn(Vec<String>),
    /// Applies an operation to the value with this key of a table.
    Over(String, Box<Operation>),
    /// Applies an operation to each value of a list.
    Map(Box<Operation>),
    /// Applies operations one after the other.
    Pipe(Pipeline),
    /// A graph becomes a list of graphs with this many paths each, smallest paths first.
    SplitEvery(NonZeroUsize),
    /// A list of graphs becomes one of at most this many, of which the last has the paths of all
    /// that exceed the limit.
    LimitLayers(NonZeroUsize),
    /// Removes paths from a graph, and so from the image.
    RemovePaths(Vec<String>),
    /// Reverses a list.
    Reverse,
    /// Lists and tables in each other become one list of graphs.
    Flatten,
}

/// An argument of `split_paths`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSpec {
    /// A path.
    Path(String),
    /// The paths that these paths refer to.
    ChildrenOf(Vec<String>),
}

/// A path in a pipeline that is in no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "layering: {operation} names {}, which the image's closure does not have{hint}",
    text::quote(path)
)]
pub struct UnknownPath {
    /// The operation.
    pub operation: &'static str,
    /// The path.
    pub path: String,
    /// The nearest path, as the end of a sentence.
    pub hint: String,
}

impl Pipeline {
    /// Checks that `closure` has every path that the pipeline names.
    ///
    /// # Errors
    /// For the first that it does not have.
    pub fn check_paths(&self, closure: &Closure) -> Result<(), UnknownPath> {
        self.0.iter().try_for_each(|operation| operation.check_paths(closure))
    }
}

impl Operation {
    /// The name in a recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PopularityContest => "popularity_contest",
            Self::SplitPaths(_) => "split_paths",
            Self::SubcomponentOut(_) => "subcomponent_out",
            Self::SubcomponentIn(_) => "subcomponent_in",
            Self::Over(..) => "over",
            Self::Map(_) => "map",
            Self::Pipe(_) => "pipe",
            Self::SplitEvery(_) => "split_every",
            Self::LimitLayers(_) => "limit_layers",
            Self::RemovePaths(_) => "remove_paths",
            Self::Reverse => "reverse",
            Self::Flatten => "flatten",
        }
    }

    fn check_paths(&self, closure: &Closure) -> Result<(), UnknownPath> {
        match self {
            Self::SplitPaths(specs) => specs
                .iter()
                .flat_map(PathSpec::paths)
                .try_for_each(|path| self.check_path(path, closure)),
            Self::SubcomponentOut(paths)
            | Self::SubcomponentIn(paths)
            | Self::RemovePaths(paths) => {
                paths.iter().try_for_each(|path| self.check_path(path, closure))
            }
            Self::Over(_, operation) | Self::Map(operation) => operation.check_paths(closure),
            Self::Pipe(pipeline) => pipeline.check_paths(closure),
            Self::PopularityContest
            | Self::SplitEvery(_)
            | Self::LimitLayers(_)
            | Self::Reverse
            | Self::Flatten => Ok(()),
        }
    }

    fn check_path(&self, path: &str, closure: &Closure) -> Result<(), UnknownPath> {
        if closure.paths().any(|known| known.as_str() == path) {
            return Ok(());
        }
        let nearest = suggest::nearest(path, closure.paths().map(StorePath::as_str));
        Err(UnknownPath {
            operation: self.name(),
            path: path.to_owned(),
            hint: suggest::hint(&nearest),
        })
    }
}

impl PathSpec {
    fn paths(&self) -> &[String] {
        match self {
            Self::Path(path) => std::slice::from_ref(path),
            Self::ChildrenOf(paths) => paths,
        }
    }
}

//! Where something comes from.

use std::fmt;

use serde::Serialize;

/// An origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Its kind.
    pub from: OriginKind,
    /// The exact place, or the reason; may be empty.
    pub detail: String,
}

/// The kind of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// The base image.
    Base,
    /// The recipe, or flags that replace its keys.
    Recipe,
    /// The recipe, merged with the base image.
    RecipeAndBase,
    /// The contents of the recipe.
    Contents,
    /// A store path.
    Store,
    /// A step of the recipe.
    Step,
    /// The host.
    Host,
    /// An environment variable of the build.
    Environment,
    /// Nothing: it is the default.
    Default,
    /// Nothing: the image does not have it, although the base image has.
    LeftOut,
}

impl Origin {
    pub(super) fn new(from: OriginKind, detail: impl Into<String>) -> Self {
        Self { from, detail: detail.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.from {
            OriginKind::Base => "base image",
            OriginKind::Recipe => "recipe",
            OriginKind::RecipeAndBase => "recipe and base image",
            OriginKind::Contents => "contents",
            OriginKind::Store => "store path",
            OriginKind::Step => "step",
            OriginKind::Host => "host",
            OriginKind::Environment => "environment",
            OriginKind::Default => "default",
            OriginKind::LeftOut => "left out",
        })?;
        match &*self.detail {
            "" => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}

//! Layering: which store path goes into which layer.
//!
//! A [`Strategy`] ranks the store paths of a closure, a [`Budget`] limits the number of layers, and
//! [`Strategy::layers`] splits the ranked paths into layers. This module works on names alone and
//! never touches a file.

mod budget;
pub mod popularity;

pub use budget::{Budget, BudgetError, MAX_LAYERS};

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::closure::{Closure, StorePath};
use crate::text;

/// How files are split into layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// A layer for each of the most popular store paths (see [`popularity`]), one for the other
    /// store paths, and one for the contents.
    #[default]
    Popularity,
    /// One layer for everything.
    Single,
}

/// A text that does not name a strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// The name that `popularity` had before.
    #[error("layering \"layered\" is now called \"popularity\"")]
    Renamed,
    /// Any other text.
    #[error("unknown layering {}; expected \"popularity\" or \"single\"", text::quote(.0))]
    Unknown(String),
}

impl FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        match text {
            "popularity" => Ok(Self::Popularity),
            "single" => Ok(Self::Single),
            "layered" => Err(StrategyError::Renamed),
            other => Err(StrategyError::Unknown(other.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Strategy {
    /// Splits the paths of `closure` into at most `available` layers, lowest first. No layer is
    /// empty.
    ///
    /// With `available` zero the result is empty; [`Budget::available`] never returns zero for a
    /// closure that has paths.
    pub fn layers(self, closure: &Closure, available: usize) -> Vec<Vec<StorePath>> {
        match self {
            Self::Popularity => one_each(popularity::ranked(closure), available),
            Self::Single if closure.is_empty() || available == 0 => Vec::new(),
            Self::Single => vec![closure.paths().cloned().collect()],
        }
    }
}

/// Gives each of the first `ranked` paths a layer; those that exceed `available` share the last.
fn one_each(mut ranked: Vec<StorePath>, available: usize) -> Vec<Vec<StorePath>> {
    if ranked.len() <= available {
        return ranked.into_iter().map(|path| vec![path]).collect();
    }
    let Some(alone) = available.checked_sub(1) else {
        return Vec::new();
    };
    let mut rest = ranked.split_off(alone);
    rest.sort();
    ranked.into_iter().map(|path| vec![path]).chain([rest]).collect()
}

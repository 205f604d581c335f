//! Which store path goes into which layer.
//!
//! A strategy ranks the paths of a closure, the budget says how many layers there may be, and
//! [`Strategy::layers`] cuts the ranking into layers. Nothing here touches a file.

pub mod budget;
pub mod popularity;

pub use budget::{Budget, BudgetError};

use crate::closure::{Closure, StorePath};

/// How store paths are ranked before they are cut into layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Paths that much depends upon come first, see [`popularity`].
    #[default]
    Popularity,
}

impl Strategy {
    /// The paths of `closure` in at most `available` layers, bottom first: the best ranked paths in a
    /// layer each, the rest together in the last. None for an empty closure.
    ///
    /// With `available` zero there is no place for any path; [`Budget::available`] never gives that for a
    /// closure that has one.
    pub fn layers(self, closure: &Closure, available: usize) -> Vec<Vec<StorePath>> {
        let mut ranked = match self {
            Self::Popularity => popularity::ranked(closure),
        };
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
}

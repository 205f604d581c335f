//! Measures how many bytes each strategy would have shipped over a sequence of builds.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::graph::PathGraph;
use super::propose::propose;
use super::strategy::{LayeringError, Strategy};
use crate::closure::StorePath;

/// The bytes of the layers that a strategy ships with each update: those that the build before did
/// not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// The strategy: `single`, `popularity`, `auto`, `balanced`, `plan`, or `each` for a layer for
    /// each path, which no image can have but which is the minimum.
    pub strategy: &'static str,
    /// The maximum number of layers with store paths, if the strategy has one.
    pub layers: Option<usize>,
    /// The bytes of store paths shipped with each update.
    pub shipped: Vec<u64>,
}

impl Measurement {
    /// The median of the bytes per update; zero without updates.
    pub fn median(&self) -> u64 {
        let mut sorted = self.shipped.clone();
        sorted.sort_unstable();
        let middle = |index: usize| sorted.get(index).copied().unwrap_or(0);
        middle(sorted.len().saturating_sub(1) / 2).midpoint(middle(sorted.len() / 2))
    }

    /// The bytes of all updates.
    pub fn total(&self) -> u64 {
        self.shipped.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// Measures every strategy over `builds`, oldest first, with each of the `budgets` for layers with
/// store paths. The plan is made of the first `learn` builds; only updates after these are
/// measured, for all strategies.
///
/// # Errors
/// Those of [`Strategy::layers`].
pub fn measure(
    builds: &[PathGraph],
    learn: usize,
    budgets: &[usize],
) -> Result<Vec<Measurement>, LayeringError> {
    let (known, _) = builds.split_at(learn.clamp(1, builds.len().max(1)).min(builds.len()));
    let Some(last_known) = known.last() else { return Ok(Vec::new()) };
    let measured = &builds[known.len() - 1..];
    let mut results = vec![Measurement {
        strategy: "single",
        layers: Some(1),
        shipped: shipped(measured, &Strategy::Single, 1)?,
    }];
    let strategies = [
        ("popularity", Strategy::Popularity),
        ("auto", Strategy::Auto),
        ("balanced", Strategy::Balanced),
    ];
    for (name, strategy) in strategies {
        for layers in budgets {
            let shipped = shipped(measured, &strategy, *layers)?;
            results.push(Measurement { strategy: name, layers: Some(*layers), shipped });
        }
    }
    for layers in budgets {
        let plan = Strategy::Plan(Arc::new(propose(last_known, known, *layers)));
        let shipped = shipped(measured, &plan, *layers)?;
        results.push(Measurement { strategy: "plan", layers: Some(*layers), shipped });
    }
    let each = updates(measured).map(|(before, after)| {
        let old: BTreeSet<&StorePath> = before.paths().iter().collect();
        let new = after.paths().iter().zip(after.sizes()).filter(|(path, _)| !old.contains(path));
        new.map(|(_, size)| size).sum()
    });
    results.push(Measurement { strategy: "each", layers: None, shipped: each.collect() });
    Ok(results)
}

fn updates(builds: &[PathGraph]) -> impl Iterator<Item = (&PathGraph, &PathGraph)> {
    builds.iter().zip(builds.iter().skip(1))
}

/// The bytes that `strategy` ships with each update.
fn shipped(
    builds: &[PathGraph],
    strategy: &Strategy,
    available: usize,
) -> Result<Vec<u64>, LayeringError> {
    let mut before: Option<BTreeSet<Vec<StorePath>>> = None;
    let mut shipped = Vec::new();
    for build in builds {
        let layers = strategy.layers(build, available)?;
        if let Some(before) = before {
            let new = layers.iter().filter(|layer| !before.contains(*layer)).flatten();
            let new: BTreeSet<&StorePath> = new.collect();
            let sizes = build.paths().iter().zip(build.sizes());
            shipped.push(sizes.filter(|(path, _)| new.contains(path)).map(|(_, size)| size).sum());
        }
        before = Some(layers.into_iter().collect());
    }
    Ok(shipped)
}

//! Layer plans: layers by the names of packages.
//!
//! A plan stays the same while packages get new versions, so all layers without an update stay the
//! same too. [`propose`](super::propose()) makes plans from earlier builds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::graph::PathGraph;
use super::package;
use crate::closure::StorePath;
use crate::{document, text};

/// The layers of an image: the names of packages in each, lowest layer first.
///
/// A package that the plan does not name goes to the layer of one whose name differs in numbers
/// only, or else to a layer above all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerPlan {
    pub(super) layers: Vec<Vec<String>>,
}

impl LayerPlan {
    /// Parses a table with the key `layers`.
    ///
    /// # Errors
    /// If it is something else, or has a package in two layers.
    pub fn parse(value: serde_json::Value) -> Result<Self, String> {
        let plan: Self = document::from_value(value).map_err(|problem| problem.text)?;
        let mut seen = BTreeMap::new();
        for (index, name) in numbered(&plan.layers) {
            if seen.insert(name, index).is_some_and(|other| other != index) {
                let name = text::quote(name);
                return Err(format!("the layer plan has {name} in two layers"));
            }
        }
        Ok(plan)
    }

    /// The names of packages in each layer, lowest layer first.
    pub fn layers(&self) -> &[Vec<String>] {
        &self.layers
    }

    /// Splits `graph` into at most `available` layers. Layers that exceed the limit share the last.
    pub(super) fn split(&self, graph: &PathGraph, available: usize) -> Vec<Vec<StorePath>> {
        let by_name: BTreeMap<&str, usize> =
            numbered(&self.layers).map(|(index, name)| (name, index)).collect();
        let mut by_stem: BTreeMap<String, usize> = BTreeMap::new();
        for (index, name) in numbered(&self.layers) {
            by_stem.entry(package::stem(name)).or_insert(index);
        }
        let mut layers = vec![Vec::new(); self.layers.len() + 1];
        for (number, path) in graph.paths().iter().enumerate() {
            let name = package::name(path);
            let found = by_name.get(name.as_str()).or_else(|| by_stem.get(&package::stem(&name)));
            layers[found.copied().unwrap_or(self.layers.len())].push(number);
        }
        layers.retain(|layer| !layer.is_empty());
        if layers.len() > available {
            let rest = layers.split_off(available.saturating_sub(1));
            layers.push(rest.into_iter().flatten().collect());
        }
        graph.named(layers)
    }
}

/// Every name with the index of its layer.
fn numbered(layers: &[Vec<String>]) -> impl Iterator<Item = (usize, &str)> {
    layers
        .iter()
        .enumerate()
        .flat_map(|(index, layer)| layer.iter().map(move |name| (index, name.as_str())))
}

//! Where layers come from.

use serde::Serialize;

use super::origin::{Origin, OriginKind};
use crate::build::inputs::Base;
use crate::build::plan::{Plan, PlannedLayer};
use crate::image::{DiffId, LayerContents};
use crate::text;

/// The longest title of a layer of the base, in characters.
const TITLE_WIDTH: usize = 40;
/// The digits of a diff ID that are shown.
const DIGITS: usize = 12;

/// A layer.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedLayer {
    /// Its number; the lowest layer is 1.
    pub number: usize,
    /// Its origin.
    pub origin: Origin,
}

/// Explains the layers.
pub(super) fn layers(plan: &Plan) -> Vec<ExplainedLayer> {
    let (base, new) = plan.layer_counts();
    let count = base.max(base + new).max(base + plan.layers.len() + plan.recipe.steps.len());
    (0..count)
        .map(|index| ExplainedLayer { number: index + 1, origin: origin_of_layer(plan, index) })
        .collect()
}

/// The origin of the layer with this index.
pub(super) fn origin_of_layer(plan: &Plan, index: usize) -> Origin {
    let base = plan.base.as_ref().map_or(0, |base| base.image.layers.len());
    if let Some(base) = &plan.base
        && let Some(layer) = base.image.layers.get(index)
    {
        return Origin::new(OriginKind::Base, base_layer(base, index, layer.diff_id));
    }
    if let Some(layer) = plan.layers.get(index - base) {
        return of_planned(plan, layer);
    }
    let number = index - base - plan.layers.len();
    match plan.recipe.steps.get(number) {
        Some(step) => Origin::new(OriginKind::Step, format!("{} {}", number + 1, step.title())),
        None if number == plan.recipe.steps.len() => {
            Origin::new(OriginKind::Store, "store paths that steps name")
        }
        None => Origin::new(OriginKind::Step, ""),
    }
}

/// Describes a layer of the base: its number, its title where the base's history has one, and the
/// beginning of its diff ID.
fn base_layer(base: &Base, index: usize, diff_id: DiffId) -> String {
    let contents = base.image.config.layer_contents().into_iter().nth(index);
    let contents = LayerContents { base: true, ..contents.unwrap_or_default() };
    let diff_id = diff_id.to_string();
    let digits = diff_id.split(':').next_back().unwrap_or_default();
    let title = contents.title(index + 1, TITLE_WIDTH);
    // The origin names the base already.
    let title = title.strip_prefix("base ").unwrap_or(&title);
    format!("{title} ({})", digits.get(..DIGITS).unwrap_or(digits))
}

fn of_planned(plan: &Plan, layer: &PlannedLayer) -> Origin {
    if let Some(finished) = &layer.finished {
        let detail = format!("the layer {}", text::path(finished.tar.path()));
        return Origin::new(OriginKind::Contents, detail);
    }
    if let Some(name) = &layer.name {
        let origin = if layer.has_contents() { OriginKind::Contents } else { OriginKind::Store };
        return Origin::new(origin, format!("the layer {}", text::quote(name)));
    }
    if !layer.packages.is_empty() {
        return Origin::new(
            OriginKind::Contents,
            format!("the packages {}", text::list(&layer.packages)),
        );
    }
    let names: Vec<&str> = layer.paths.iter().map(|path| path.name()).collect();
    match (layer.has_contents(), names.as_slice()) {
        (true, []) if plan.contents.is_empty() => {
            Origin::new(OriginKind::Recipe, "path, accounts or helpers")
        }
        (true, []) => {
            let sources = plan.contents.iter().map(|content| text::path(&content.source));
            Origin::new(OriginKind::Contents, text::list(sources))
        }
        (true, names) => {
            let count = names.len();
            Origin::new(OriginKind::Contents, format!("and {count} store paths, in one layer"))
        }
        (false, names) => Origin::new(OriginKind::Store, text::list(names)),
    }
}

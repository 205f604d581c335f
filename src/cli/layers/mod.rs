//! `seatrial layers`: shows how an image is split into layers, and which split ships the fewest
//! bytes.

mod args;
mod history;
mod table;

pub(super) use args::Args;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use crate::archive::ImageSelector;
use crate::build::{LayerOutline, Plan, Recipe};
use crate::cli::args::{BuildArgs, is_recipe};
use crate::cli::images::Access;
use crate::cli::streams::{pretty_json, stdout};
use crate::image::{DiffId, Platform};
use crate::text;
use table::Row;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let access = args.recipe.build.access().reading();
    let plan = args.recipe.plan_selected(args.platform.as_ref(), &access)?;
    if !args.history.is_empty() {
        return history::run(args, &plan, &access);
    }
    let outline = plan.outline()?;
    let mut rows: Vec<Row> = outline.iter().map(row).collect();
    for other in &args.with {
        let present = Present::read(other, plan.platform(), &args.recipe.build, &access)?;
        for (row, layer) in rows.iter_mut().zip(&outline) {
            if present.has(layer) {
                row.shared_with.push(text::path(other).to_string());
            }
        }
    }
    let name = plan.recipe().name.as_str();
    match args.json {
        true => {
            let object = serde_json::json!({ "name": name, "layers": rows });
            writeln!(stdout(), "{}", pretty_json(&object)?)?;
        }
        false => write!(stdout(), "{}", table::render(name, &rows, plan.recipe().steps.len()))?,
    }
    Ok(())
}

fn row(layer: &LayerOutline) -> Row {
    Row {
        size: layer.size,
        entries: layer.entries,
        contents: layer.contents.clone(),
        shared_with: Vec::new(),
    }
}

/// The layers of another image.
#[derive(Default)]
struct Present {
    diff_ids: BTreeSet<DiffId>,
    /// The store paths of each layer.
    paths: BTreeSet<Vec<String>>,
}

impl Present {
    fn read(
        path: &Path,
        platform: &Platform,
        build: &BuildArgs,
        access: &Access<'_>,
    ) -> anyhow::Result<Self> {
        if is_recipe(path) {
            let recipe = Recipe::read_for(path, platform)?;
            return Ok(Self::of_plan(&build.plan_other(recipe, access)?));
        }
        let selector = ImageSelector {
            platform: Some(platform.clone()),
            limits: build.limits(),
            ..ImageSelector::default()
        };
        let image = access.open(path, &selector)?.image;
        let history = image.config.layer_history().unwrap_or_default();
        Ok(Self {
            diff_ids: image.layers.iter().map(|layer| layer.diff_id).collect(),
            paths: history.iter().map(|step| sorted(step.paths())).collect(),
        })
    }

    fn of_plan(plan: &Plan) -> Self {
        let paths = plan
            .store_layers()
            .map(|paths| sorted(paths.iter().map(|path| path.as_str().to_owned()).collect()));
        Self { diff_ids: plan.base_layers().into_iter().collect(), paths: paths.collect() }
    }

    /// Whether the image has `layer`: of the layers that are not the base's, those that consist of
    /// store paths are known without building them.
    fn has(&self, layer: &LayerOutline) -> bool {
        match layer.base {
            Some(diff_id) => self.diff_ids.contains(&diff_id),
            None => {
                let paths = layer.contents.paths.clone();
                !paths.is_empty() && self.paths.contains(&sorted(paths))
            }
        }
    }
}

fn sorted(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_unstable();
    paths
}

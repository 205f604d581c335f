//! The image of a recipe as the base of another one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::archive::blob::{FetchError, FileSlice, LayerBlob};
use crate::archive::layer_tree::LayerTree;
use crate::archive::tar::TarReader;
use crate::archive::tree::Tree;
use crate::archive::{ArchiveError, Image, ImageFormat};
use crate::build::BuildError;
use crate::build::inputs::{Base, BuiltLayers};
use crate::build::plan::Plan;
use crate::build::write::DescribedImage;
use crate::steps::StepLayer;
use crate::text;

/// An image that was built from a recipe. Its planned layers are not made until they are read.
#[derive(Debug)]
pub(super) struct BuiltImage {
    pub(super) plan: Arc<Plan>,
    pub(super) image: Image,
}

impl BuiltImage {
    /// The image of `plan`, which `described` describes.
    pub(super) fn new(plan: Plan, described: DescribedImage, threads: usize) -> Self {
        let plan = Arc::new(plan);
        let DescribedImage { config, raw_config, references, new_layers } = described;
        let mut layers = match &plan.base {
            Some(base) => base.image.layers.clone(),
            None => Vec::new(),
        };
        let of_base = layers.len();
        for (index, info) in new_layers.into_iter().enumerate() {
            let bytes = match index.checked_sub(plan.layers.len()) {
                None => {
                    let plan = Arc::clone(&plan);
                    FileSlice::deferred(info.size, move || {
                        let layer = plan.layers.get(index).ok_or(io::ErrorKind::NotFound)?;
                        plan.layer_file(layer, info.diff_id, threads).map_err(failed)
                    })
                }
                Some(step) => match step_layers(&plan).get(step) {
                    Some(layer) => layer.bytes.clone(),
                    None => continue,
                },
            };
            layers.push(LayerBlob {
                bytes,
                digest: None,
                diff_id: info.diff_id,
                name: format!("{} of {}", of_base + index + 1, text::path(&plan.recipe.path)),
                media_type: None,
            });
        }
        let image = Image {
            path: plan.recipe.path.clone(),
            format: ImageFormat::DockerArchive,
            config,
            raw_config,
            manifest: None,
            annotations: BTreeMap::new(),
            index_annotations: BTreeMap::new(),
            references: references.iter().map(ToString::to_string).collect(),
            layers,
            limits: plan.recipe.limits,
            other_platforms: Vec::new(),
        };
        Self { plan, image }
    }
}

impl BuiltLayers for BuiltImage {
    fn sizes(&self) -> Result<Vec<u64>, BuildError> {
        let mut sizes = self.plan.base.as_ref().map_or(Ok(&[][..]), Base::sizes)?.to_vec();
        let new = self.image.layers.iter().skip(sizes.len());
        sizes.extend(new.map(|layer| layer.bytes.len()));
        Ok(sizes)
    }

    fn tree(&self) -> Result<Tree, BuildError> {
        let plan = &self.plan;
        let mut tree = match &plan.base {
            Some(base) => base.tree()?.clone(),
            None => Tree::default(),
        };
        for source in plan.sources(&plan.layers) {
            tree.apply(source()?.tree()?);
        }
        for layer in step_layers(plan) {
            let mut reader = TarReader::new(layer.bytes.clone());
            let changes = LayerTree::read(&mut reader, &plan.recipe.limits);
            tree.apply(changes.map_err(ArchiveError::temporary_file)?);
        }
        Ok(tree)
    }
}

/// The layers that the steps of `plan` made.
fn step_layers(plan: &Plan) -> &[StepLayer] {
    plan.steps.made.get().map_or(&[], |made| &made.layers)
}

/// The error that a planned layer cannot be made when it is read.
fn failed(error: BuildError) -> io::Error {
    io::Error::other(FetchError { is_environment: error.is_environment(), source: error.into() })
}

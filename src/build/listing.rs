//! Lists the entries of planned layers.

use super::BuildError;
use super::base::Base;
use super::host_store::HostStore;
use super::inputs::resolved_store_dir;
use super::origin::Placement;
use super::placer::{Placer, Rules};
use super::plan::Plan;
use super::recipe::Store;
use super::split::PlannedLayer;
use crate::archive::layer::Layer;
use crate::archive::pipeline::LayerSource;
use crate::archive::tree::Tree;
use crate::layering::Strategy;

impl Plan {
    /// The sources of `layers`, which list their entries on demand.
    pub(super) fn sources<'p>(
        &'p self,
        layers: &'p [PlannedLayer],
    ) -> Vec<LayerSource<'p, BuildError>> {
        let source = |layer: &'p PlannedLayer| -> LayerSource<'p, BuildError> {
            Box::new(move || self.list(layer))
        };
        layers.iter().map(source).collect()
    }

    /// Reads the metadata of the files of `layer` and lists its entries.
    fn list(&self, layer: &PlannedLayer) -> Result<Layer, BuildError> {
        if let Some(finished) = &layer.finished {
            return Ok(Layer::finished(finished.tar.clone(), finished.entries)?);
        }
        let no_base = Tree::default();
        let base = self.base.as_ref().map_or(Ok(&no_base), Base::tree)?;
        let single = self.recipe.layering == Strategy::Single;
        let store = self.recipe.store.as_ref().map(Store::on_host);
        let mut placer = Placer::new(Rules {
            base,
            base_image: self.base.as_ref().map(|base| &base.image),
            attributes: self.recipe.attributes(),
            replace: &self.recipe.replace,
            store,
            closure: &self.closure,
            only_store: !layer.has_contents,
            notices: &self.notices,
            follow_dirlinks: single && !self.recipe.keep_contents_dirlinks,
            on_conflict: self.recipe.on_conflict,
            remember_paths: layer.has_contents && self.recipe.makes_files(),
        });
        if layer.has_contents {
            for (index, content) in self.contents.iter().enumerate() {
                let more_follow = index + 1 < self.contents.len()
                    || !layer.paths.is_empty()
                    || self.recipe.makes_files();
                placer.begin_content(more_follow);
                let linked = !single && content.store_path.is_some();
                let placement = if linked { Placement::Linked } else { Placement::Copied };
                placer.add(content, placement)?;
            }
        }
        if let Some(HostStore { dir, source }) = store {
            let dir = resolved_store_dir(base, dir)?;
            placer.begin_content(false);
            for path in &layer.paths {
                placer.add_store_path(&source.join(path.name()), &dir, path.name())?;
            }
        }
        if layer.has_contents {
            placer.begin_content(false);
            placer.add_helpers(&self.recipe.helpers)?;
            placer.add_accounts(&self.accounts)?;
            placer.add_paths(&self.paths)?;
        }
        placer.finish(self.recipe.attributes())
    }
}

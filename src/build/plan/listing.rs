//! Lists the entries of planned layers.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Plan;
use super::split::PlannedLayer;
use crate::archive::ArchiveError;
use crate::archive::layer::Layer;
use crate::archive::pipeline::LayerSource;
use crate::archive::tree::Tree;
use crate::build::BuildError;
use crate::build::inputs::{Base, HostStore, resolved_store_dir};
use crate::build::merge::Merged;
use crate::build::place::{ImageView, Placement, Placer, Rules};
use crate::build::recipe::Store;
use crate::closure::StorePath;
use crate::layering::Strategy;

/// The files of the base if there is none.
static NO_BASE: OnceLock<Tree> = OnceLock::new();

/// The layers of contents, which are listed together when the first is needed, by slot.
type Contents = Mutex<Option<Vec<(usize, Option<Layer>)>>>;

impl Plan {
    /// The sources of `layers`, which list their entries on demand.
    pub(in crate::build) fn sources<'p>(
        &'p self,
        layers: &'p [PlannedLayer],
    ) -> Vec<LayerSource<'p, BuildError>> {
        let contents = Arc::new(Contents::default());
        let slots: Arc<[usize]> = layers.iter().filter_map(|layer| layer.slot).collect();
        let source = |layer: &'p PlannedLayer| -> LayerSource<'p, BuildError> {
            match layer.slot.filter(|_| !self.assignment.is_trivial()) {
                Some(slot) => {
                    let (contents, slots) = (Arc::clone(&contents), Arc::clone(&slots));
                    Box::new(move || self.list_slot(slot, &slots, &contents))
                }
                None => Box::new(move || self.list(layer)),
            }
        };
        layers.iter().map(source).collect()
    }

    /// Lists the entries of the layer of contents with `slot`, and on the way those of all `slots`.
    fn list_slot(
        &self,
        slot: usize,
        slots: &[usize],
        contents: &Contents,
    ) -> Result<Layer, BuildError> {
        let mut listed = contents.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.is_none() {
            let of_contents = self.layers.iter().filter(|layer| layer.has_contents());
            let paths: Vec<StorePath> =
                of_contents.flat_map(|layer| layer.paths.iter().cloned()).collect();
            let attributes = self.recipe.attributes();
            let merged = Merged::new(self.placer(true, &paths)?, attributes.clone())?;
            let layers = self.assignment.split(&merged, &attributes, slots)?;
            *listed = Some(slots.iter().copied().zip(layers.into_iter().map(Some)).collect());
        }
        let mut layers = listed.iter_mut().flatten();
        let layer = layers.find(|(of, _)| *of == slot).and_then(|(_, layer)| layer.take());
        layer.ok_or_else(|| ArchiveError::WorkerLost.into())
    }

    /// Reads the metadata of the files of `layer` and lists its entries.
    fn list(&self, layer: &PlannedLayer) -> Result<Layer, BuildError> {
        if let Some(finished) = &layer.finished {
            return Ok(Layer::finished(finished.tar.clone(), finished.entries)?);
        }
        let placer = self.placer(layer.has_contents(), &layer.paths)?;
        Merged::new(placer, self.recipe.attributes())?.layer()
    }

    /// Places the contents, if `has_contents`, and the store paths `paths`.
    pub(in crate::build) fn placer(
        &self,
        has_contents: bool,
        paths: &[StorePath],
    ) -> Result<Placer<'_>, BuildError> {
        let no_base = NO_BASE.get_or_init(Tree::default);
        let base = self.base.as_ref().map_or(Ok(no_base), Base::tree)?;
        if self.base.is_some() {
            let unused = self.recipe.replace.iter().filter(|path| base.get(path).is_none());
            unused.for_each(|path| self.notices.unused_replace(path));
        }
        let image = ImageView::new(base, &self.recipe.replace);
        let mut placer = Placer::new(self.rules(has_contents), image);
        if has_contents {
            for (index, content) in self.contents.iter().enumerate() {
                let more_follow = index + 1 < self.contents.len()
                    || !paths.is_empty()
                    || self.recipe.makes_files();
                placer.image.begin_content(more_follow);
                let linked = !self.has_single_layer() && content.store_path.is_some();
                let placement = if linked { Placement::Linked } else { Placement::Copied };
                placer.add(content, placement)?;
            }
        }
        if let Some(HostStore { dir, source }) = self.host_store() {
            let dir = resolved_store_dir(base, dir)?;
            placer.image.begin_content(false);
            for path in paths {
                placer.add_store_path(&source.join(path.name()), &dir, path.name())?;
            }
        }
        if has_contents {
            placer.image.begin_content(false);
            placer.add_helpers(&self.recipe.helpers)?;
            placer.add_accounts(&self.accounts)?;
            placer.add_paths(&self.paths)?;
        }
        Ok(placer)
    }

    /// The rules for the contents, if `has_contents`, and store paths.
    fn rules(&self, has_contents: bool) -> Rules<'_> {
        let follows = self.has_single_layer() && !self.recipe.keep_contents_dirlinks;
        Rules {
            base_image: self.base.as_ref().map(|base| &base.image),
            attributes: self.recipe.attributes(),
            store: self.host_store(),
            closure: &self.closure,
            only_store: !has_contents,
            outputs: &self.outputs,
            notices: &self.notices,
            follow_dirlinks: follows,
            on_conflict: self.recipe.on_conflict,
            remember_paths: has_contents && self.recipe.makes_files(),
        }
    }

    fn has_single_layer(&self) -> bool {
        self.recipe.layering == Strategy::Single
    }

    fn host_store(&self) -> Option<HostStore<'_>> {
        self.recipe.store.as_ref().map(Store::on_host)
    }
}

//! A survey of the contents, from metadata: which layers get files, and the sizes of packages.

use std::collections::{BTreeMap, HashMap};

use crate::archive::entry::{Entry, Kind};
use crate::build::BuildError;
use crate::build::merge::Merged;
use crate::build::plan::{
    Plan,
    assignment::Assignment,
    packages::{self, Packages},
};
use crate::build::recipe::files::Used;
use crate::layering::Strategy;

/// The packages in the contents, and the sizes of those that have files, by their index.
pub(super) struct Found {
    pub(super) packages: Packages,
    pub(super) sizes: BTreeMap<usize, u64>,
}

/// The facts about the contents.
pub(super) struct Survey {
    /// The number of files of each layer that the recipe names.
    pub(super) named: Vec<usize>,
    /// The patterns that matched something, of each of these layers.
    pub(super) used: Vec<Used>,
    /// Whether there are files that neither a named layer nor a package has.
    pub(super) has_rest: bool,
    pub(super) packages: Option<Found>,
    /// The assignment, with a slot for each package.
    pub(super) assignment: Assignment,
}

/// The slot of removals, which go to whichever layer is the lowest.
const REMOVALS: usize = usize::MAX;
/// The size of a header in a tar; contents are padded to a multiple of it.
const TAR_BLOCK: u64 = 512;

impl Survey {
    /// Lists the contents of `plan`, if it depends on them which layers there are.
    pub(super) fn of(plan: &Plan) -> Result<Self, BuildError> {
        let recipe = &plan.recipe;
        let has_contents = !plan.contents.is_empty() || recipe.makes_files();
        let mut survey = Self {
            named: vec![0; recipe.layers.len()],
            used: vec![Used::new(); recipe.layers.len()],
            has_rest: has_contents,
            packages: None,
            assignment: Assignment::new(recipe.layers.clone()),
        };
        if recipe.package_layers && recipe.layering == Strategy::Single {
            let problem = "package_layers has no effect with layering = \"single\"; remove one";
            return Err(BuildError::recipe(&recipe.path, problem));
        }
        let has_paths = recipe.layers.iter().any(|layer| !layer.paths.is_empty());
        if has_paths || recipe.package_layers {
            survey.list(plan)?;
        }
        Ok(survey)
    }

    fn list(&mut self, plan: &Plan) -> Result<(), BuildError> {
        let recipe = &plan.recipe;
        let merged = Merged::new(plan.placer(true, &[])?, recipe.attributes())?;
        let packages = if recipe.package_layers { packages::read(&merged)? } else { None };
        if recipe.package_layers && packages.is_none() {
            let problem = "package_layers: the contents have no database of packages; expected \
                           /var/lib/dpkg/status, /var/lib/dpkg/status.d or /lib/apk/db/installed";
            return Err(BuildError::recipe(&recipe.path, problem));
        }
        let rest = self.assignment.rest();
        if let Some(packages) = &packages {
            let owners = packages.owners().into_iter();
            self.assignment.owners =
                owners.map(|(path, package)| (path.clone(), rest + 1 + package)).collect();
        }
        self.assignment.removals = REMOVALS;
        let mut slots: HashMap<usize, (usize, u64)> = HashMap::new();
        self.assignment.each(&merged, Some(&mut self.used), &mut |slot, entry| {
            let (files, size) = slots.entry(slot).or_default();
            *files += 1;
            *size += TAR_BLOCK + content_size(entry).next_multiple_of(TAR_BLOCK);
            Ok(())
        })?;
        let only_removals = slots.keys().all(|slot| *slot == REMOVALS);
        self.has_rest = slots.contains_key(&rest) || (only_removals && !slots.is_empty());
        for (slot, files) in self.named.iter_mut().enumerate() {
            *files = slots.get(&slot).map_or(0, |(files, _)| *files);
        }
        self.packages = packages.map(|packages| {
            let sizes = (0..packages.len())
                .filter_map(|package| Some((package, slots.get(&(rest + 1 + package))?.1)));
            let sizes = sizes.collect();
            Found { packages, sizes }
        });
        Ok(())
    }
}

fn content_size(entry: &Entry) -> u64 {
    match &entry.kind {
        Kind::File(content) => content.size(),
        _ => 0,
    }
}

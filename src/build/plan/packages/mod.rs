//! The packages in the contents, from the databases of dpkg and apk: their files, and which package
//! needs which.

mod apk;
mod database;
mod dpkg;

use std::collections::{BTreeMap, HashMap};

use crate::build::place::ImagePath;
use crate::closure::{ClosureError, Graph, StoreDir, StorePath};

pub(super) use database::read;

/// A package in a database.
#[derive(Clone, Debug, Default)]
struct Package {
    /// Its name, of dpkg with the architecture if there are several.
    name: String,
    version: String,
    /// The name of what it is built from, with other packages that are released together.
    source: String,
    /// Alternatives for each thing that it needs.
    needs: Vec<Vec<String>>,
    /// The names that it provides in addition to its own.
    provides: Vec<String>,
    /// The paths of its files and directories.
    files: Vec<ImagePath>,
}

/// The packages of an image.
#[derive(Clone, Debug, Default)]
pub(super) struct Packages {
    packages: Vec<Package>,
    /// The beginning of the names of the packages in a graph.
    prefix: &'static str,
}

/// The folder of packages in a graph, as if they were store paths.
const FOLDER: &str = "/packages";

impl Packages {
    /// The names.
    pub(super) fn name(&self, index: usize) -> &str {
        &self.packages[index].name
    }

    /// The number of packages.
    pub(super) fn len(&self) -> usize {
        self.packages.len()
    }

    /// The package of each path. If several have it, that is the first.
    pub(super) fn owners(&self) -> HashMap<&ImagePath, usize> {
        let mut owners = HashMap::new();
        for (index, package) in self.packages.iter().enumerate() {
            for path in &package.files {
                owners.entry(path).or_insert(index);
            }
        }
        owners
    }

    /// The packages as paths of a graph, `/packages/deb-NAME`, in their order; `with_version` with
    /// their versions.
    pub(super) fn paths(&self, with_version: bool) -> Vec<Option<StorePath>> {
        let dir = StoreDir::new(FOLDER).ok();
        let valid = |text: &str| -> String {
            let is_valid = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
            text.chars().map(|c| if is_valid(c) { c } else { '.' }).collect()
        };
        let path = |package: &Package| {
            let mut path = format!("{FOLDER}/{}-{}", self.prefix, valid(&package.name));
            if with_version && package.version.starts_with(|c: char| c.is_ascii_digit()) {
                path = format!("{path}-{}", valid(&package.version).replace('-', "."));
            }
            dir.as_ref()?.path(&path).ok()
        };
        self.packages.iter().map(path).collect()
    }

    /// The source of each package, by its path in a graph.
    pub(super) fn sources(&self, paths: &[Option<StorePath>]) -> BTreeMap<StorePath, String> {
        let sources = paths.iter().zip(&self.packages).filter_map(|(path, package)| {
            Some((path.clone()?, format!("{} {}", self.prefix, package.source)))
        });
        sources.collect()
    }

    /// Adds the packages that `sizes` has to `graph`: the sizes of their files, by package.
    ///
    /// # Errors
    /// If the graph has such a path.
    pub(super) fn add_to(
        &self,
        graph: &mut Graph,
        paths: &[Option<StorePath>],
        sizes: &BTreeMap<usize, u64>,
    ) -> Result<(), ClosureError> {
        let providers = self.providers();
        for (index, size) in sizes {
            let Some(path) = &paths[*index] else { continue };
            let needs = self.packages[*index].needs.iter();
            let needed = needs.filter_map(|alternatives| {
                alternatives.iter().find_map(|name| providers.get(name.as_str()))
            });
            let needed = needed.filter(|needed| sizes.contains_key(needed));
            let references = needed.filter_map(|needed| paths[*needed].clone());
            graph.add(path.clone(), references, Some(*size))?;
        }
        Ok(())
    }

    /// The package for each name that packages have or provide.
    fn providers(&self) -> HashMap<&str, usize> {
        let mut providers = HashMap::new();
        let packages = || self.packages.iter().enumerate();
        for (index, package) in packages() {
            providers.entry(package.name.as_str()).or_insert(index);
        }
        for (index, package) in packages() {
            for name in &package.provides {
                providers.entry(name.as_str()).or_insert(index);
            }
        }
        providers
    }
}

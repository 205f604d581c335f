//! The files that an expectations file names, apart from the image.

use std::path::{Path, PathBuf};

use super::document::Format;
use super::{ContainerSpec, Expectations, ExpectationsFile, ServiceExpectations};
use crate::check::{goss, structure_test};
use crate::document;

/// The files and folders that an expectations file names. They may be missing.
#[derive(Debug, Default)]
pub(crate) struct NamedFiles {
    /// The image with which layers are shared, images of further containers, sources of files and
    /// mounts, certificates and keys, and files of variables.
    pub(crate) files: Vec<PathBuf>,
    /// The recipes of further containers.
    pub(crate) recipes: Vec<PathBuf>,
}

impl NamedFiles {
    /// Returns the files that the expectations file at `path` names; none if it is malformed.
    pub(crate) fn of(path: &Path) -> Self {
        let Ok(text) = document::read(path, document::MAX_SIZE) else { return Self::default() };
        let expectations = match Format::of(path, &text) {
            Format::StructureTest => {
                // Its expectations have the variables of a file that may be missing.
                let files = structure_test::named_files(path, &text);
                return Self { files, recipes: Vec::new() }.relative_to(path);
            }
            Format::Goss => return Self { files: goss::named_files(path), recipes: Vec::new() },
            Format::Own => Expectations::parse(path, &text),
        };
        let Ok(expectations) = expectations else { return Self::default() };
        let companions = expectations.container.values();
        let recipes = companions.filter_map(|companion| companion.recipe.clone()).collect();
        let mut named = Self { files: expectations.named_files(), recipes }.relative_to(path);
        for file in expectations.service.iter().filter_map(|service| service.goss.as_ref()) {
            let file = path.parent().unwrap_or(Path::new("")).join(file);
            named.files.extend(goss::named_files(&file));
            named.files.push(file);
        }
        named
    }

    /// Completes paths that are relative to the folder of `file`.
    fn relative_to(mut self, file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        self.files.iter_mut().chain(&mut self.recipes).for_each(|path| *path = folder.join(&*path));
        self
    }
}

impl ExpectationsFile {
    /// The recipes of further containers.
    pub(crate) fn recipes(&self) -> impl Iterator<Item = &Path> {
        let companions = self.expectations.container.values();
        companions.filter_map(|companion| companion.recipe.as_deref())
    }
}

impl Expectations {
    /// Returns the files that these expectations name.
    fn named_files(&self) -> Vec<PathBuf> {
        let Self { container, service, image, .. } = self;
        let shared = image.shares_layers.iter().map(|shared| PathBuf::from(&shared.with));
        let images = container.values().filter_map(|companion| companion.image.clone());
        let files = self.containers().flat_map(|container| &container.files);
        let sources = files.filter_map(|file| file.source.clone());
        let mounts = self.containers().flat_map(|container| &container.mounts);
        let mounted = mounts.map(|mount| mount.source.clone());
        let requests = service.iter().flat_map(ServiceExpectations::requests);
        let ready = container.values().filter_map(|companion| companion.ready.http.as_ref());
        let tls = requests.chain(ready).filter_map(|request| request.tls.clone());
        let of_tls =
            tls.flat_map(|mut tls| tls.files_mut().map(std::mem::take).collect::<Vec<_>>());
        shared.chain(images).chain(sources).chain(mounted).chain(of_tls).collect()
    }

    /// The settings of all containers.
    pub(in crate::check) fn containers(&self) -> impl Iterator<Item = &ContainerSpec> {
        let setup = self.setup.iter().map(|command| &command.container);
        let runs = self.run.iter().map(|run| &run.container);
        let services = self.service.iter().map(|service| &service.container);
        let companions = self.container.values().map(|companion| &companion.container);
        setup.chain(runs).chain(services).chain(companions)
    }
}

//! The files that an expectations file names, apart from the image.

use std::path::{Path, PathBuf};

use super::{ContainerSpec, Expectations, ExpectationsFile, ServiceExpectations};

impl ExpectationsFile {
    /// The recipes of further containers.
    pub(crate) fn recipes(&self) -> impl Iterator<Item = &Path> {
        let companions = self.expectations.container.values();
        companions.filter_map(|companion| companion.recipe.as_deref())
    }

    /// The image with which layers are shared, images of further containers, sources of files and
    /// mounts, and certificates of authorities.
    pub(crate) fn named_files(&self) -> Vec<PathBuf> {
        let Expectations { container, service, image, .. } = &self.expectations;
        let shared = image.shares_layers.iter().map(|shared| self.folder.join(&shared.with));
        let images = container.values().filter_map(|companion| companion.image.clone());
        let files = self.expectations.containers().flat_map(|container| &container.files);
        let sources = files.filter_map(|file| Some(self.folder.join(file.source.as_ref()?)));
        let mounts = self.expectations.containers().flat_map(|container| &container.mounts);
        let mounted = mounts.map(|mount| mount.source.clone());
        let requests = service.iter().flat_map(ServiceExpectations::requests);
        let ready = container.values().filter_map(|companion| companion.ready.http.as_ref());
        let authorities =
            requests.chain(ready).filter_map(|request| request.tls.as_ref()?.ca.clone());
        shared.chain(images).chain(sources).chain(mounted).chain(authorities).collect()
    }
}

impl Expectations {
    /// The settings of all containers.
    pub(in crate::check) fn containers(&self) -> impl Iterator<Item = &ContainerSpec> {
        let setup = self.setup.iter().map(|command| &command.container);
        let runs = self.run.iter().map(|run| &run.container);
        let services = self.service.iter().map(|service| &service.container);
        let companions = self.container.values().map(|companion| &companion.container);
        setup.chain(runs).chain(services).chain(companions)
    }
}

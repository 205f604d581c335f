//! The files that an expectations file names: their paths, which are relative to it, and the
//! content of those that are written into containers.

use std::path::{Path, PathBuf};

use super::container::{ContainerFile, ContainerMount};
use super::{ContainerSpec, Expectations, ServiceExpectations};
use crate::certificates::{authorities, client_certificate};
use crate::check::goss;
use crate::conditions::TlsSettings;
use crate::document;
use crate::image::Reference;
use crate::text;
use crate::text::errors::chain;

/// The size limit of a file that is written into a container.
const SOURCE_MAX: u64 = 16 << 20;

impl Expectations {
    /// Makes paths absolute that are relative to `folder`, and checks the files that they name.
    pub(super) fn resolve(&mut self, folder: &Path) -> Result<(), String> {
        for file in self.containers_mut().flat_map(|container| &mut container.files) {
            read_source(file, folder)?;
        }
        for mount in self.containers_mut().flat_map(|container| &mut container.mounts) {
            find_source(mount, folder)?;
        }
        for (name, spec) in &mut self.container {
            if let Some(recipe) = &mut spec.recipe {
                find_image(name, recipe, folder, |_| String::new())?;
            }
            if let Some(image) = &mut spec.image {
                find_image(name, image, folder, image_hint)?;
            }
        }
        let requests = self.service.iter_mut().flat_map(ServiceExpectations::requests_mut);
        let companions = self.container.values_mut().filter_map(|spec| spec.ready.http.as_mut());
        for tls in requests.chain(companions).filter_map(|request| request.tls.as_mut()) {
            tls.files_mut().for_each(|path| *path = folder.join(&*path));
            check_tls(tls)?;
        }
        for service in &mut self.service {
            read_tests(service, folder)?;
            let mut requests = service.goss_requests().filter_map(|request| request.tls.as_ref());
            requests.try_for_each(check_tls)?;
        }
        Ok(())
    }

    fn containers_mut(&mut self) -> impl Iterator<Item = &mut ContainerSpec> {
        let runs = self.run.iter_mut().map(|run| &mut run.container);
        let services = self.service.iter_mut().map(|service| &mut service.container);
        let setups = self.setup.iter_mut().map(|setup| &mut setup.container);
        let companions = self.container.values_mut().map(|companion| &mut companion.container);
        runs.chain(services).chain(setups).chain(companions)
    }
}

/// Checks the files of a request with TLS.
fn check_tls(tls: &TlsSettings) -> Result<(), String> {
    if let Some(ca) = &tls.ca {
        authorities::read(ca)?;
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        client_certificate::read(certificate, key)?;
    }
    Ok(())
}

/// Reads the tests of the goss file of a service, if it names one, relative to `folder`.
fn read_tests(service: &mut ServiceExpectations, folder: &Path) -> Result<(), String> {
    let Some(path) = &service.goss else { return Ok(()) };
    let name = text::quote(&service.name);
    let tests = goss::read(&folder.join(path));
    service.tests = tests.map_err(|error| format!("service {name}: {}", chain(&error)))?;
    match service.container.network == Some(false) && service.goss_requests().next().is_some() {
        true => Err(format!(
            "service {name} has no network, so the http tests of its goss file cannot reach it; \
             leave out network"
        )),
        false => Ok(()),
    }
}

/// Reads the source of a file, relative to `folder`.
fn read_source(file: &mut ContainerFile, folder: &Path) -> Result<(), String> {
    let path = text::quote(&file.path);
    match (&file.content, &file.source) {
        (Some(_), Some(_)) => {
            Err(format!("file {path}: \"content\" and \"source\" exclude each other"))
        }
        (None, None) => Err(format!("file {path} has neither \"content\" nor \"source\"")),
        (Some(_), None) => Ok(()),
        (None, Some(source)) => {
            let source = folder.join(source);
            let failed = |problem: std::io::Error| {
                format!("failed to read {}: {problem}", text::path(&source))
            };
            file.bytes = document::read_bytes(&source, SOURCE_MAX).map_err(failed)?;
            Ok(())
        }
    }
}

/// The end of the error if the image at `path` is missing: how to get one that is in a registry.
fn image_hint(path: &Path) -> String {
    let is_reference = |text: &&str| text.contains(':') && text.parse::<Reference>().is_ok();
    let reference = path.to_str().filter(is_reference).unwrap_or("REFERENCE");
    format!(
        "; it must be an archive or an OCI layout; for an image in a registry, write a recipe with \
         from_image = \"docker://{reference}\", and give that as recipe"
    )
}

/// Completes the path of the image or recipe of the container `name`, relative to `folder`. The
/// error if it is missing ends with the `hint` for the path as it is written.
fn find_image(
    name: &str,
    path: &mut PathBuf,
    folder: &Path,
    hint: fn(&Path) -> String,
) -> Result<(), String> {
    let name = text::quote(name);
    let file = folder.join(&*path);
    if let Err(problem) = file.metadata() {
        let (file, hint) = (text::path(&file), hint(path));
        return Err(format!("container {name}: failed to read {file}: {problem}{hint}"));
    }
    *path = file;
    Ok(())
}

/// Makes the source of a mount, relative to `folder`, absolute.
fn find_source(mount: &mut ContainerMount, folder: &Path) -> Result<(), String> {
    let path = folder.join(&mount.source);
    let failed =
        |problem: std::io::Error| format!("failed to mount {}: {problem}", text::path(&path));
    mount.source = std::path::absolute(&path).map_err(failed)?;
    path.metadata().map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use crate::check::expectations::ExpectationsFile;

    #[test]
    fn a_source_that_is_missing_is_an_error_that_names_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let (file, source) = (folder.path().join("e.toml"), folder.path().join("conf"));
        for (key, action) in [("files", "read"), ("mounts", "mount")] {
            let setting = format!("container.{key} = [{{ path = '/conf', source = 'conf' }}]");
            std::fs::write(&file, format!("[[run]]\nname = 'x'\n{setting}\n")).unwrap();
            let error = ExpectationsFile::read(&file).unwrap_err().to_string();
            let problem = format!("failed to {action} {}: No such file", source.display());
            assert!(error.contains(&problem), "{error}");
        }
    }

    #[test]
    fn an_image_of_a_container_that_is_missing_is_an_error_that_names_both() {
        let folder = tempfile::TempDir::new().unwrap();
        let (file, image) = (folder.path().join("e.toml"), folder.path().join("db.tar"));
        for key in ["image", "recipe"] {
            std::fs::write(&file, format!("[container.db]\n{key} = 'db.tar'\n")).unwrap();
            let error = ExpectationsFile::read(&file).unwrap_err().to_string();
            let problem =
                format!("container \"db\": failed to read {}: No such file", image.display());
            assert!(error.contains(&problem), "{error}");
        }
        std::fs::write(&file, "[container.db]\nimage = 'redis:7'\n").unwrap();
        let error = ExpectationsFile::read(&file).unwrap_err().to_string();
        let hint = "write a recipe with from_image = \"docker://redis:7\", and give that as recipe";
        assert!(error.contains("redis:7: No such file") && error.ends_with(hint), "{error}");
        std::fs::write(&file, "[container.db]\nimage = 'redis.tar'\n").unwrap();
        let error = ExpectationsFile::read(&file).unwrap_err().to_string();
        assert!(error.contains("from_image = \"docker://REFERENCE\""), "{error}");
        std::fs::write(&file, "[container.db]\nrecipe = 'db.tar'\n").unwrap();
        std::fs::write(&image, "").unwrap();
        assert!(ExpectationsFile::read(&file).is_ok());
    }
}

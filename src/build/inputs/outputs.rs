//! Outputs among the inputs: files that a build writes, or that earlier builds have written,
//! complete or not. They are neither in the image nor among the inputs of its steps.

use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Content;
use super::walk::FileId;
use crate::archive::is_own_image;
use crate::build::BuildError;
use crate::build::recipe::Recipe;
use crate::files::output::{OutputFile, is_unfinished, replaced_path};
use crate::sbom::is_own_bill;

/// The files that a command writes while it builds images. They are neither in these images nor
/// among the inputs of their steps, and replace no file that is, except for outputs of earlier
/// builds.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    files: Vec<OutputPath>,
    streams: Vec<FileId>,
}

#[derive(Clone, Debug)]
struct OutputPath {
    /// The resolved path.
    path: PathBuf,
    /// The argument that names it; `None` for a file that is open already.
    argument: Option<String>,
}

impl Outputs {
    /// Adds a file that the command creates or replaces at `path`. Messages call it `argument`.
    pub fn add_file(&mut self, path: &Path, argument: &str) {
        let argument = Some(argument.to_owned());
        self.files.extend(replaced_path(path).map(|path| OutputPath { path, argument }));
    }

    /// Adds a file that is open for writing, if it is a file: `metadata` is its own, and `path`
    /// leads to it, unless that cannot be read.
    pub fn add_stream(&mut self, path: &Path, metadata: &Metadata) {
        if !metadata.is_file() {
            return;
        }
        self.streams.push((metadata.dev(), metadata.ino()));
        let path = path.canonicalize().into_iter();
        self.files.extend(path.map(|path| OutputPath { path, argument: None }));
    }
}

impl Outputs {
    /// Adds an output file that is being written.
    pub(crate) fn add_unfinished(&mut self, file: &OutputFile) {
        if let Ok(metadata) = file.file().metadata() {
            self.add_stream(file.temporary_path().unwrap_or(Path::new("")), &metadata);
        }
    }
}

/// The outputs that are left out of an image: those of the command, those that builds of its recipe
/// and of others in the same build have written by default, and their lock files.
#[derive(Debug, Default)]
pub(in crate::build) struct KnownOutputs {
    files: Vec<KnownOutput>,
    streams: Vec<FileId>,
}

#[derive(Debug)]
struct KnownOutput {
    path: PathBuf,
    /// The argument that names it, if it would replace a file that no build has written.
    replaces: Option<String>,
}

impl KnownOutputs {
    /// The `outputs` of the command, and those that earlier builds of `recipe` and of `others`, the
    /// recipes of the same build, have left. Of these, files that `contents` name themselves are
    /// contents.
    pub(in crate::build) fn new<'r>(
        recipe: &'r Recipe,
        others: impl IntoIterator<Item = &'r Recipe>,
        contents: &[Content],
        outputs: &Outputs,
    ) -> Self {
        let written = outputs.files.iter().map(|OutputPath { path, argument }| KnownOutput {
            path: path.clone(),
            replaces: argument.clone().filter(|_| !is_replaceable(path)),
        });
        let is_content = |path: &Path| contents.iter().any(|content| content.source == path);
        let is_earlier = |path: &PathBuf| is_empty(path) || is_build_output(path);
        let of_recipe = |recipe| {
            let earlier = default_paths(recipe).into_iter().filter(is_earlier);
            earlier.chain(lock_file(recipe))
        };
        let earlier = std::iter::once(recipe).chain(others).flat_map(of_recipe);
        let earlier = earlier.filter(|path| !is_content(path));
        let files = written.chain(earlier.map(|path| KnownOutput { path, replaces: None }));
        Self { files: files.collect(), streams: outputs.streams.clone() }
    }

    /// Whether the file `name` in `folder`, which is resolved, is left out. `file` is its ID.
    ///
    /// # Errors
    /// If an output would replace it, and no build has written it.
    pub(in crate::build) fn contain(
        &self,
        folder: &Path,
        name: &[u8],
        file: FileId,
    ) -> Result<bool, BuildError> {
        let is_same = |output: &&KnownOutput| {
            output.path.file_name().is_some_and(|own| own.as_bytes() == name)
                && output.path.parent() == Some(folder)
        };
        let output = self.files.iter().find(is_same);
        if let Some(KnownOutput { path, replaces: Some(argument) }) = output {
            let problem = format!(
                "{argument} would replace this file, which is one of the contents and not an \
                 output of an earlier build; choose another file for {argument}"
            );
            return Err(BuildError::content(path, problem));
        }
        Ok(output.is_some() || self.streams.contains(&file))
    }

    /// The paths of all within `folder`, which is resolved, with those of unfinished ones.
    pub(in crate::build) fn within(&self, folder: &Path) -> Vec<PathBuf> {
        let paths = self.files.iter().map(|output| &output.path);
        let within = paths.filter(|path| path.starts_with(folder) && *path != folder);
        let mut found: Vec<PathBuf> = within.cloned().collect();
        add_unfinished(folder, &mut found);
        found
    }
}

/// Adds the unfinished outputs in `folder` that are not in `found` yet. What cannot be read fails
/// when it is used.
fn add_unfinished(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            add_unfinished(&entry.path(), found);
        } else if kind.is_file() && is_unfinished(&entry.file_name()) {
            let path = entry.path();
            if !found.contains(&path) {
                found.push(path);
            }
        }
    }
}

/// Whether an output may replace the file at the resolved `path`, if there is one: an output of an
/// earlier build, or an empty file, such as a shell leaves if a command fails whose output it
/// redirects.
pub(crate) fn is_replaceable(path: &Path) -> bool {
    !path.is_file() || is_empty(path) || is_build_output(path)
}

fn is_empty(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.len() == 0)
}

/// The resolved paths of the files that builds of `recipe` write if the user names no others: in
/// the working directory, or in the folder of the recipe if they are run there.
fn default_paths(recipe: &Recipe) -> Vec<PathBuf> {
    let own = recipe.path.parent().unwrap_or(Path::new(""));
    let names = recipe.default_outputs();
    let in_both = |name: &PathBuf| [name.clone(), own.join(name)];
    names.iter().flat_map(in_both).filter_map(|path| replaced_path(&path)).collect()
}

/// Whether `path` is a file that a build has written: an archive or a bill of materials.
fn is_build_output(path: &Path) -> bool {
    let is_bill = || File::open(path).and_then(|file| is_own_bill(&file)).unwrap_or(false);
    path.is_file() && (is_bill() || is_own_image(path).unwrap_or(false))
}

/// The resolved path of the lock file beside the recipe, if there may be one: the base for another
/// platform, or of another recipe in the folder, may be in a registry.
#[cfg(feature = "registry")]
fn lock_file(recipe: &Recipe) -> Option<PathBuf> {
    let is_lock_file = || super::lock::LockFile::is_beside(&recipe.path);
    let path = super::lock::path_beside(&recipe.path);
    (recipe.has_remote_images() || is_lock_file()).then(|| replaced_path(&path)).flatten()
}

#[cfg(not(feature = "registry"))]
fn lock_file(_: &Recipe) -> Option<PathBuf> {
    None
}

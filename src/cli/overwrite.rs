//! Outputs that would replace an input of their command, or another output.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::args::is_recipe;
use super::images::location;
use super::output::is_stdout;
use crate::build::{Recipe, is_earlier_output};
use crate::files::output::replaced_path;
use crate::image::Location;
use crate::text;

/// Checks that outputs of a command replace none of its inputs, and not each other.
#[derive(Default)]
pub(super) struct OutputCheck {
    /// Resolved paths, each with words for what it is.
    known: Vec<(PathBuf, String)>,
    /// Resolved paths of folders that recipes read, in which only outputs of earlier builds are
    /// replaced.
    folders: Vec<PathBuf>,
    /// The argument that names standard output.
    stdout: Option<String>,
}

const INPUT: &str = "an input of this command";
const OF_RECIPE: &str = "an input of the recipe";

impl OutputCheck {
    /// Adds the recipe or image that an argument names: the files of a recipe, if it is valid, and
    /// the file or folder of an image.
    pub(super) fn add_argument(&mut self, argument: &Path) {
        if !is_recipe(argument) {
            return self.add_location(location(argument).ok().as_ref(), INPUT);
        }
        match Recipe::read_all(argument) {
            Ok(recipes) => recipes.iter().for_each(|recipe| self.add_recipe(recipe)),
            Err(_) => self.add_input(argument),
        }
    }

    /// Adds an input.
    pub(super) fn add_input(&mut self, path: &Path) {
        self.add(path, INPUT);
    }

    /// Adds a recipe and the files that it names. A folder of its contents may have an output:
    /// listing the contents finds files that this would replace.
    pub(super) fn add_recipe(&mut self, recipe: &Recipe) {
        self.add(&recipe.path, "the recipe");
        self.add_location(recipe.from_image.as_ref(), "the base image");
        let paths = recipe.source_paths();
        let files = paths.iter().filter(|path| !path.is_dir());
        files.for_each(|path| self.add(path, OF_RECIPE));
        #[cfg(feature = "registry")]
        if let Some(Location::Registry(_)) = recipe.from_image {
            self.add(&crate::build::lock::path_beside(&recipe.path), "the recipe's lock file");
        }
        let inputs = recipe.steps.iter().flat_map(|step| &step.inputs).map(|input| &input.source);
        let folders = inputs.chain(recipe.store.as_ref().map(|store| &store.source));
        let folders = folders.filter(|path| path.is_dir());
        self.folders.extend(folders.filter_map(|path| path.canonicalize().ok()));
    }

    /// Lets an output replace the input at `path`.
    pub(super) fn allow(&mut self, path: &Path) {
        if let Ok(path) = fs::canonicalize(path) {
            self.known.retain(|(known, _)| *known != path);
        }
    }

    /// Adds an output, which `flag` names.
    ///
    /// # Errors
    /// If it would replace an input or another output.
    pub(super) fn add_output(&mut self, path: &Path, flag: &str) -> anyhow::Result<()> {
        if is_stdout(path) {
            return match self.stdout.replace(flag.to_owned()) {
                Some(other) => bail!("only one of {other} and {flag} can be -"),
                None => Ok(()),
            };
        }
        let Some(target) = replaced_path(path) else { return Ok(()) };
        let shown = text::path(path);
        let is_in = |known: &Path| known.is_dir() && target.starts_with(known);
        let replaced = self.known.iter().find(|(known, _)| *known == target || is_in(known));
        if let Some((_, role)) = replaced {
            bail!("failed to write {shown}: it is {role}; choose another output");
        }
        let is_read = self.folders.iter().any(|folder| target.starts_with(folder));
        if is_read && target.is_file() && !is_earlier_output(&target) {
            bail!("failed to write {shown}: it is {OF_RECIPE}; choose another output");
        }
        self.known.push((target, format!("also the output of {flag}")));
        Ok(())
    }

    /// Adds the file or folder at `location`, which is `role`.
    pub(super) fn add_location(&mut self, location: Option<&Location>, role: &str) {
        if let Some(path) = location.and_then(Location::path) {
            self.add(path, role);
        }
    }

    /// Adds `path` if there is something.
    fn add(&mut self, path: &Path, role: &str) {
        let known = fs::canonicalize(path).into_iter();
        self.known.extend(known.map(|path| (path, role.to_owned())));
    }
}

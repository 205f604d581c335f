//! Outputs that would replace an input of their command, or another output.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::args::is_recipe;
use super::images::location;
use super::output::{is_stdout, standard_streams};
use crate::build::files::ContentEntry;
use crate::build::{ImageSource, Outputs, Recipe, is_replaceable};
use crate::files::output::replaced_path;
use crate::image::Location;
use crate::text;

/// Checks that outputs of a command replace none of its inputs, and not each other.
#[derive(Default)]
pub(super) struct OutputCheck {
    /// Resolved paths, each with words for what it is.
    known: Vec<(PathBuf, String)>,
    /// Resolved paths of inputs that outputs may replace.
    allowed: Vec<PathBuf>,
    /// Resolved paths of folders that are read.
    folders: Vec<PathBuf>,
    /// Recipes, which read folders, too.
    recipes: Vec<Recipe>,
    /// The argument that names standard output.
    stdout: Option<String>,
    /// The outputs of builds.
    of_builds: Outputs,
}

/// The kind of an output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An output of a build, which leaves it out of the contents.
    Build,
    /// Another one, such as a report. In the contents, it would change the next image.
    Other,
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

    /// Adds an input: a file, or a folder that is read.
    pub(super) fn add_input(&mut self, path: &Path) {
        match path.is_dir() {
            true => self.folders.extend(path.canonicalize()),
            false => self.add(path, INPUT),
        }
    }

    /// Adds a recipe, and the files and folders that it names.
    pub(super) fn add_recipe(&mut self, recipe: &Recipe) {
        self.add(&recipe.path, "the recipe");
        if let Some(path) = recipe.from_image.as_ref().and_then(ImageSource::path) {
            self.add(path, "the base image");
        }
        let images = recipe.contents.iter().filter_map(ContentEntry::image);
        images.filter_map(ImageSource::path).for_each(|path| self.add(path, OF_RECIPE));
        let paths = recipe.source_paths();
        let files = paths.iter().filter(|path| !path.is_dir());
        files.for_each(|path| self.add(path, OF_RECIPE));
        // A mistake in one of them is reported by the build.
        let named = recipe.named_recipes().unwrap_or_default();
        for recipe in named.into_iter().chain([recipe.clone()]) {
            #[cfg(feature = "registry")]
            if recipe.has_remote_images() {
                self.add(&crate::build::lock::path_beside(&recipe.path), "the recipe's lock file");
            }
            self.recipes.push(recipe);
        }
    }

    /// Lets an output replace the input at `path`.
    pub(super) fn allow(&mut self, path: &Path) {
        self.allowed.extend(fs::canonicalize(path));
    }

    /// Adds an output that no build writes, such as a report, and that `flag` names.
    ///
    /// # Errors
    /// If it would replace an input or another output, or would be in a folder that is read.
    pub(super) fn add_output(&mut self, path: &Path, flag: &str) -> anyhow::Result<()> {
        self.add_file(path, flag, Kind::Other)
    }

    /// Adds an output of a build, which `flag` names.
    ///
    /// # Errors
    /// If it would replace an input or another output. In a folder that a recipe reads, it may
    /// replace an output of an earlier build.
    pub(super) fn add_build_output(&mut self, path: &Path, flag: &str) -> anyhow::Result<()> {
        self.add_file(path, flag, Kind::Build)?;
        if !is_stdout(path) {
            self.of_builds.add_file(path, flag);
        }
        Ok(())
    }

    /// Returns the outputs of builds, and the files to which the standard streams lead.
    pub(super) fn of_builds(&self) -> Outputs {
        let mut outputs = self.of_builds.clone();
        standard_streams(&mut outputs);
        outputs
    }

    fn add_file(&mut self, path: &Path, flag: &str, kind: Kind) -> anyhow::Result<()> {
        if is_stdout(path) {
            return match self.stdout.replace(flag.to_owned()) {
                Some(other) => bail!("only one of {other} and {flag} can be -"),
                None => Ok(()),
            };
        }
        let Some(target) = replaced_path(path) else { return Ok(()) };
        let is_allowed = self.allowed.contains(&target);
        if let Some(problem) = self.problem(&target, kind).filter(|_| !is_allowed) {
            let path = text::path(path);
            bail!("failed to write {path}: it {problem}; choose another file for {flag}");
        }
        self.known.push((target, format!("also the output of {flag}")));
        Ok(())
    }

    /// Returns what is wrong with an output at the resolved path `target`, if something is.
    fn problem(&self, target: &Path, kind: Kind) -> Option<String> {
        let is_in = |known: &Path| known.is_dir() && target.starts_with(known);
        if let Some((_, role)) =
            self.known.iter().find(|(known, _)| known == target || is_in(known))
        {
            return Some(format!("is {role}"));
        }
        if self.folders.iter().any(|folder| target.starts_with(folder)) {
            return Some("is in a folder that this command reads".to_owned());
        }
        self.recipes.iter().find_map(|recipe| {
            let role = recipe.role_in_folders(target)?;
            match (kind, is_replaceable(target)) {
                (Kind::Build, true) => None,
                (Kind::Build, false) => {
                    Some(format!("is {role}, and not an output of an earlier build"))
                }
                (Kind::Other, _) if target.exists() => Some(format!("is {role}")),
                (Kind::Other, _) => Some(format!("would be {role} from then on")),
            }
        })
    }

    /// Adds the file or folder at `location`, which is `role`.
    pub(super) fn add_location(&mut self, location: Option<&Location>, role: &str) {
        if let Some(path) = location.and_then(Location::path) {
            self.add(path, role);
        }
    }

    /// Adds `path`, whether it exists yet or not.
    fn add(&mut self, path: &Path, role: &str) {
        let known = fs::canonicalize(path).ok().or_else(|| replaced_path(path));
        self.known.extend(known.map(|path| (path, role.to_owned())));
    }
}

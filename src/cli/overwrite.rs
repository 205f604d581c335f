//! Outputs that would replace an input of their command, or another output.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::args::is_recipe;
use super::images::location;
use crate::build::Recipe;
use crate::build::output::replaced_path;
use crate::image::{Location, Platform};
use crate::text;

/// The inputs and outputs of a command, none of which an output may replace.
#[derive(Default)]
pub(super) struct Files {
    /// Resolved paths, each with words for what it is.
    known: Vec<(PathBuf, String)>,
}

const INPUT: &str = "an input of this command";

impl Files {
    /// Adds the recipe or image that an argument names: the files of a recipe, if it is valid, and
    /// the file or folder of an image.
    pub(super) fn add_argument(&mut self, argument: &Path) {
        if !is_recipe(argument) {
            return self.add_location(location(argument).ok().as_ref(), INPUT);
        }
        match Recipe::read_for(argument, &Platform::host()) {
            Ok(recipe) => self.add_recipe(&recipe),
            Err(_) => self.add_input(argument),
        }
    }

    /// Adds an input.
    pub(super) fn add_input(&mut self, path: &Path) {
        self.add(path, INPUT);
    }

    /// Adds a recipe and the files that it names. A folder of its contents may have an output.
    pub(super) fn add_recipe(&mut self, recipe: &Recipe) {
        self.add(&recipe.path, "the recipe");
        self.add_location(recipe.from_image.as_ref(), "the base image");
        for path in recipe.source_paths().iter().filter(|path| !path.is_dir()) {
            self.add(path, "an input of the recipe");
        }
    }

    /// Adds an output, which `flag` names.
    ///
    /// # Errors
    /// If it would replace an input or another output.
    pub(super) fn add_output(&mut self, path: &Path, flag: &str) -> anyhow::Result<()> {
        let is_file = path != Path::new("-");
        let Some(target) = replaced_path(path).filter(|_| is_file) else { return Ok(()) };
        let is_in = |known: &Path| known.is_dir() && target.starts_with(known);
        let replaced = self.known.iter().find(|(known, _)| *known == target || is_in(known));
        if let Some((_, role)) = replaced {
            bail!("failed to write {}: it is {role}; choose another output", text::path(path));
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

/// The bytes in which [`is_earlier_output`] looks for signs of an output.
const START: u64 = 64 << 10;
/// The position of `ustar` in the first block of a tar.
const TAR_MAGIC: usize = 257;

/// Whether the file at `path` may be an archive or a bill of materials that an earlier build has
/// written: those are left out of the contents, but no other file is replaced.
pub(super) fn is_earlier_output(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    let has = |word: &[u8]| start.windows(word.len()).any(|bytes| bytes == word);
    read.is_err()
        || start.is_empty()
        || start.get(TAR_MAGIC..).is_some_and(|rest| rest.starts_with(b"ustar"))
        || start.starts_with(b"\x1f\x8b")
        || start.starts_with(b"\x28\xb5\x2f\xfd")
        || has(b"\"spdxVersion\"")
        || has(b"\"bomFormat\"")
}

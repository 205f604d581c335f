//! Loads a goss file with all that it includes, in the order in which goss does it (`store.go`): a
//! file before those that it includes, these by their keys, and later resources replace others of
//! the same type and ID.

use std::path::{Path, PathBuf};

use super::document::{Gossfile, Include};
use super::included::find;
use crate::archive::ArchiveError;
use crate::check::CheckError;
use crate::document::{self, DocumentError};
use crate::text;

/// The types of resources that are supported, in a sentence.
pub(super) const SUPPORTED: &str =
    "file, command, gossfile, http, package, port, process, user and group";
/// The number of files that may include each other in turn: as many as goss allows.
const DEPTH_MAX: usize = 49;
/// The number of files that a goss file may include altogether.
const FILES_MAX: usize = 500;

/// A goss file.
#[derive(Default)]
pub(super) struct Loaded {
    /// The resources of all files together.
    pub(super) gossfile: Gossfile,
    /// The included files.
    pub(super) files: Vec<PathBuf>,
}

/// Loads the goss file at `path` with the content `text`, and the files that it includes. Paths in
/// them, which are relative to their folders, are completed.
///
/// # Errors
/// If one is malformed, cannot be read or includes itself, or there are too many.
pub(super) fn load(path: &Path, text: &str) -> Result<Loaded, CheckError> {
    let mut loaded = Loaded::default();
    loaded.add(path, text, &mut Vec::new())?;
    Ok(loaded)
}

impl Loaded {
    /// Adds the file at `path`, which the files `above` include, one the next.
    fn add(&mut self, path: &Path, text: &str, above: &mut Vec<PathBuf>) -> Result<(), CheckError> {
        let failed = |problem| invalid(path, problem);
        let mut gossfile = parse(path, text)?;
        let includes = std::mem::take(&mut gossfile.gossfile);
        self.gossfile.merge(gossfile);
        above.push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let folder = path.parent().unwrap_or(Path::new(""));
        for (id, Include { file, .. }) in includes.into_iter().filter(|(_, it)| !it.skip) {
            for included in find(folder, &file.unwrap_or(id)).map_err(failed)? {
                self.include(&included, above).map_err(|problem| match problem {
                    Problem::Include(problem) => failed(problem),
                    Problem::OfFile(error) => error,
                })?;
            }
        }
        above.pop();
        Ok(())
    }

    fn include(&mut self, path: &Path, above: &mut Vec<PathBuf>) -> Result<(), Problem> {
        let shown = text::path(path);
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if above.contains(&real) {
            return Err(Problem::Include(format!("goss files include each other: {shown}")));
        }
        if above.len() >= DEPTH_MAX {
            let problem = format!("more than {DEPTH_MAX} goss files include each other in turn");
            return Err(Problem::Include(problem));
        }
        if self.files.len() >= FILES_MAX {
            let problem = format!("more than {FILES_MAX} goss files are included");
            return Err(Problem::Include(problem));
        }
        self.files.push(path.to_owned());
        let text = document::read(path, document::MAX_SIZE)
            .map_err(ArchiveError::read(path))
            .map_err(CheckError::from)?;
        Ok(self.add(path, &text, above)?)
    }
}

/// A file that cannot be included.
enum Problem {
    /// A mistake of the file that includes it.
    Include(String),
    /// A mistake in the included file.
    OfFile(CheckError),
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        Self::OfFile(error)
    }
}

fn invalid(path: &Path, problem: String) -> CheckError {
    CheckError::Expectations { place: text::path(path), problem }
}

/// Parses a file, and completes the paths in it.
fn parse(path: &Path, text: &str) -> Result<Gossfile, CheckError> {
    if text.contains("{{") {
        let problem = "templates in goss files are not supported; render the file with goss render";
        return Err(invalid(path, problem.to_owned()));
    }
    if !document::is_yaml(path) && !document::is_json(path, text) {
        let problem = "the name of a goss file ends in .yaml, .yml or .json";
        return Err(invalid(path, problem.to_owned()));
    }
    let mut file: Gossfile =
        document::parse(path, text).map_err(|DocumentError { place, problem }| {
            CheckError::Expectations { place, problem: problem.text }
        })?;
    if let Some(name) = file.unsupported() {
        let problem = format!(
            "goss resources of the type {name} are not supported; supported are {SUPPORTED}"
        );
        return Err(invalid(path, problem));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    file.files_of_requests_mut().for_each(|path| *path = folder.join(&*path));
    Ok(file)
}

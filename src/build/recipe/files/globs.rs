//! Patterns that select files of a content.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobMatcher};

use crate::archive::entry::name_of;
use crate::text;

/// The patterns of a content: what is included, and what of that is excluded.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

#[derive(Clone, Debug)]
struct Glob {
    text: String,
    matcher: GlobMatcher,
    /// Whether it has no slash and matches names in any folder.
    of_name: bool,
}

/// The patterns of [`Globs`] that have matched something, by their position in it.
pub(in crate::build) type Used = Vec<bool>;

impl Globs {
    /// Compiles patterns.
    ///
    /// # Errors
    /// If a pattern is invalid.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, String> {
        let compile = |key, texts: &[String]| -> Result<Vec<Glob>, String> {
            texts.iter().map(|text| Glob::new(key, text)).collect()
        };
        Ok(Self { include: compile("include", include)?, exclude: compile("exclude", exclude)? })
    }

    /// Compiles the patterns of `key`, as patterns of what is included.
    pub(in crate::build::recipe) fn of(key: &str, include: &[String]) -> Result<Self, String> {
        let include = include.iter().map(|text| Glob::new(key, text)).collect::<Result<_, _>>()?;
        Ok(Self { include, exclude: Vec::new() })
    }

    /// Whether a pattern matches `path`, or a folder above it.
    pub(in crate::build) fn matches(&self, path: &[u8], used: &mut Used) -> bool {
        !self.include.is_empty() && self.includes(path, used)
    }

    /// Whether everything is selected.
    pub(in crate::build) fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether `path`, relative to the content, or a folder above it is excluded.
    pub(in crate::build) fn excludes(&self, path: &[u8], used: &mut Used) -> bool {
        let start = self.include.len();
        matches_any(&self.exclude, path, |index| start + index, used)
    }

    /// Whether `path`, or a folder above it, is included.
    pub(in crate::build::recipe) fn includes(&self, path: &[u8], used: &mut Used) -> bool {
        self.include.is_empty() || matches_any(&self.include, path, |index| index, used)
    }

    /// Whether `path` is selected.
    pub(in crate::build) fn select(&self, path: &[u8], used: &mut Used) -> bool {
        let excluded = self.excludes(path, used);
        self.includes(path, used) && !excluded
    }

    /// The patterns that have matched nothing.
    pub(in crate::build) fn unused<'g>(&'g self, used: &'g Used) -> impl Iterator<Item = &'g str> {
        let is_used = |index: usize| used.get(index).copied().unwrap_or(false);
        let all = self.include.iter().chain(&self.exclude).enumerate();
        all.filter(move |(index, _)| !is_used(*index)).map(|(_, glob)| glob.text.as_str())
    }
}

/// Whether one of `globs` matches `path` or a folder above it. Patterns that have not matched yet
/// are tried even if another one matches.
fn matches_any(
    globs: &[Glob],
    path: &[u8],
    position: impl Fn(usize) -> usize,
    used: &mut Used,
) -> bool {
    let mut found = false;
    for (index, glob) in globs.iter().enumerate() {
        let position = position(index);
        if used.len() <= position {
            used.resize(position + 1, false);
        }
        if (!found || !used[position]) && glob.matches(path) {
            (found, used[position]) = (true, true);
        }
    }
    found
}

impl Glob {
    fn new(key: &str, text: &str) -> Result<Self, String> {
        let pattern = text.trim_end_matches('/');
        let of_name = !pattern.contains('/');
        let pattern = pattern.strip_prefix('.').filter(|rest| rest.starts_with('/'));
        let pattern = pattern.unwrap_or(text).trim_matches('/');
        if pattern.is_empty() {
            return Err(format!("{key} has an empty pattern"));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
            format!("{key}: {} is not a pattern: {}", text::quote(text), error.kind())
        })?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher(), of_name })
    }

    fn matches(&self, path: &[u8]) -> bool {
        let ends = (1..=path.len()).filter(|end| matches!(path.get(*end), None | Some(b'/')));
        ends.map(|end| &path[..end]).any(|path| {
            let path = if self.of_name { name_of(path) } else { path };
            let candidate = Candidate::new(Path::new(OsStr::from_bytes(path)));
            self.matcher.is_match_candidate(&candidate)
        })
    }
}

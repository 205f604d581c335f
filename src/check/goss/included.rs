//! Finds the files that a goss file includes, by a path or a pattern (Go, `filepath.Glob`).

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::text;

/// Returns the files that `written`, a path or a pattern relative to `folder`, names, in order.
///
/// # Errors
/// If the pattern is malformed, or there is no such file.
pub(super) fn find(folder: &Path, written: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![folder.to_owned()];
    for component in Path::new(written).components() {
        let name = component.as_os_str();
        let pattern = name.to_str().filter(|name| name.contains(['*', '?', '[', '\\']));
        match (component, pattern) {
            (Component::Normal(_), Some(pattern)) => {
                let pattern = compile(pattern).map_err(|error| {
                    format!("malformed pattern {}: {error}", text::quote(written))
                })?;
                found = found.iter().flat_map(|folder| matching(folder, &pattern)).collect();
            }
            _ => found.iter_mut().for_each(|path| path.push(name)),
        }
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    match found.is_empty() {
        true => Err(format!("there is no goss file {}", text::quote(written))),
        false => Ok(found),
    }
}

/// The entries of `folder` whose names `pattern` matches, in the order of their names.
fn matching(folder: &Path, pattern: &GlobMatcher) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name());
    let mut names: Vec<_> = names.filter(|name| pattern.is_match(name)).collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Compiles a pattern for one name. Go has neither alternatives nor a meaning of two asterisks.
fn compile(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    let mut translated = String::new();
    for c in pattern.chars() {
        match c {
            '*' if translated.ends_with('*') => {}
            '{' | '}' => translated.extend(['[', c, ']']),
            c => translated.push(c),
        }
    }
    let mut glob = GlobBuilder::new(&translated);
    Ok(glob.literal_separator(true).backslash_escape(true).build()?.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_the_files_that_go_finds() {
        let folder = tempfile::TempDir::new().unwrap();
        for file in ["a/x.yaml", "b/x.yaml", "b/.y.yaml", "b/{z}.yaml", "c.yaml", "d*.yaml"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        // filepath.Glob in the folder.
        for (pattern, expected) in [
            ("*/x.yaml", vec!["a/x.yaml", "b/x.yaml"]),
            ("b/*.yaml", vec!["b/.y.yaml", "b/x.yaml", "b/{z}.yaml"]),
            ("**.yaml", vec!["c.yaml", "d*.yaml"]),
            ("./[^b]/?.yaml", vec!["a/x.yaml"]),
            ("b/{z}.y*", vec!["b/{z}.yaml"]),
            ("d\\*.yaml", vec!["d*.yaml"]),
            ("a/../c.yaml", vec!["a/../c.yaml"]),
        ] {
            let found = find(folder.path(), pattern).unwrap();
            let expected: Vec<PathBuf> = expected.iter().map(|it| folder.path().join(it)).collect();
            assert_eq!(found, expected, "{pattern}");
        }
        for (pattern, problem) in [
            ("e/*.yaml", "there is no goss file \"e/*.yaml\""),
            ("e.yaml", "there is no goss file \"e.yaml\""),
            ("[", "malformed pattern \"[\": "),
        ] {
            let error = find(folder.path(), pattern).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}

//! Finds store paths in text.

use super::{Graph, StoreDir, StorePath, is_name_char};

/// The maximum length of the name of a store path: that of a file name in Linux.
const MAX_NAME: usize = 255;

/// Returns every store path of `dir` in `text`, in order, as often as it occurs.
///
/// A name ends at the first character that a store path cannot have. In a sentence, a full stop may
/// follow it: if `graph` does not have the name, but has a prefix of it, the longest such prefix is
/// the name.
pub fn named_in(text: &str, dir: &StoreDir, graph: &Graph) -> Vec<StorePath> {
    let prefix = format!("{}/", dir.as_str());
    let starts = text.match_indices(&prefix).map(|(index, _)| index + prefix.len());
    starts
        .filter_map(|start| {
            let rest = &text[start..];
            let end = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
            let path = |end: usize| &text[start - prefix.len()..start + end];
            let known = (1..=end.min(MAX_NAME)).rev().find_map(|end| graph.get(path(end)));
            known.cloned().or_else(|| dir.path(path(end)).ok())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_are_found_anywhere_in_text_and_without_punctuation() {
        let dir = StoreDir::new("/nix/store").unwrap();
        let mut graph = Graph::default();
        graph.add(dir.path("/nix/store/b-2.0").unwrap(), [], None).unwrap();
        let text = "PATH=/nix/store/a-1/bin:/nix/store/b-2.0. (/nix/store/ alone) /nix/store/c-3";
        let names: Vec<_> =
            named_in(text, &dir, &graph).iter().map(|p| p.name().to_owned()).collect();
        assert_eq!(names, ["a-1", "b-2.0", "c-3"]);
    }
}

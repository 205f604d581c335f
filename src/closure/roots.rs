//! The store paths that a piece of text names.

use super::{Graph, StoreDir, StorePath, is_name_char};

/// Every store path of `dir` that `text` names, in order, each as often as it occurs.
///
/// A name ends at the first character that no store path can have. Prose may put a full stop behind it;
/// so where `graph` lacks the name but knows it less some characters at its end, the known one is meant.
pub fn named_in(text: &str, dir: &StoreDir, graph: &Graph) -> Vec<StorePath> {
    let prefix = format!("{}/", dir.as_str());
    let ends = text.match_indices(&prefix).map(|(at, _)| at + prefix.len());
    ends.filter_map(|start| {
        let rest = &text[start..];
        let end = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        let path = |end: usize| dir.path(&format!("{prefix}{}", &rest[..end])).ok();
        let known = (1..=end).rev().filter_map(path).find(|path| graph.contains(path));
        known.or_else(|| path(end))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_anywhere_and_end_where_a_name_must() {
        let dir = StoreDir::new("/nix/store").unwrap();
        let mut graph = Graph::default();
        graph.add(dir.path("/nix/store/b-2.0").unwrap(), []).unwrap();
        let text = "PATH=/nix/store/a-1/bin:/nix/store/b-2.0. (/nix/store/ alone) /nix/store/c-3";
        let names: Vec<_> =
            named_in(text, &dir, &graph).iter().map(|p| p.name().to_owned()).collect();
        assert_eq!(names, ["a-1", "b-2.0", "c-3"]);
    }
}

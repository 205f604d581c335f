//! Properties of trees that single paths and contents make together.

use proptest::prelude::*;

use crate::lab::Lab;
use crate::paths::build;

/// A tree that paths and contents make together.
#[derive(Clone, Debug)]
struct Made {
    path: String,
    kind: &'static str,
    owner: u32,
    recursive: bool,
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let part = proptest::sample::select(vec!["a", "b", "a.b", "c-d"]);
    let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let kind = proptest::sample::select(vec!["directory", "file", "change"]);
    let one = (path, kind, 1_u32..9, any::<bool>());
    let one = one.prop_map(|(path, kind, owner, recursive)| {
        let recursive = recursive && kind != "file";
        Made { path, kind, owner, recursive }
    });
    proptest::collection::vec(one, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A model that applies the entries one by one to a map gives the same owners.
    #[test]
    fn owners_are_those_of_a_model_that_applies_entries_in_order(entries in made()) {
        use std::collections::BTreeMap;
        let lab = Lab::new();
        lab.file("tree/a/b/c-d", "");
        lab.file("tree/a.b/x", "");
        // Kind and owner by path; contents are there first, then everything that is made.
        let mut model: BTreeMap<String, (bool, u32)> = BTreeMap::new();
        for (path, is_directory) in
            [("a", true), ("a/b", true), ("a/b/c-d", false), ("a.b", true), ("a.b/x", false)]
        {
            model.insert(path.to_owned(), (is_directory, 0));
        }
        let mut valid = true;
        for entry in &entries {
            let above = |path: &str| {
                let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
                ends.into_iter().map(|end| path[..end].to_owned()).collect::<Vec<_>>()
            };
            match entry.kind {
                // Of what is there only at the end, too.
                "change" => valid &= model.contains_key(&entry.path),
                kind => {
                    let is_directory = kind == "directory";
                    for parent in above(&entry.path) {
                        valid &= model.entry(parent).or_insert((true, 0)).0;
                    }
                    let found = *model.entry(entry.path.clone()).or_insert((is_directory, 0));
                    valid &= found.0 == is_directory;
                }
            }
        }
        prop_assume!(valid);
        for entry in &entries {
            for (path, (_, owner)) in &mut model {
                let rest = path.strip_prefix(&entry.path);
                let below = rest.is_some_and(|rest| rest.starts_with('/'));
                if *path == entry.path || entry.recursive && below {
                    *owner = entry.owner;
                }
            }
        }
        let mut recipe = String::from("contents='tree'\n");
        for Made { path, kind, owner, recursive } in &entries {
            let kind = if *kind == "change" { String::new() } else { format!("type='{kind}'\n") };
            recipe += &format!("[[path]]\npath='/{path}'\n{kind}owner={owner}\n");
            recipe += &format!("recursive={recursive}\n");
        }
        let built = build(&lab, &recipe);
        let mut found = BTreeMap::new();
        for member in &built.layers()[0] {
            let path = member.name.trim_end_matches('/').to_owned();
            found.insert(path, (member.kind == '5', member.owner.0 as u32));
        }
        prop_assert_eq!(found, model, "{}", recipe);
    }
}

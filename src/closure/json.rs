//! Parses the reference graphs that Nix writes.
//!
//! There are three formats: the list of `exportReferencesGraph` with structured attributes, an
//! object that contains this list (the attributes file itself), and an object with a field for each
//! path, which newer versions of `nix path-info --json --recursive` print.

use serde::Deserialize;
use serde_json::Value;

use super::{ClosureError, Graph, StoreDir, StorePath};
use crate::text;

#[derive(Deserialize)]
struct Node {
    path: String,
    #[serde(default)]
    references: Vec<String>,
}

/// Parses the reference graph of the store at `dir`.
///
/// # Errors
/// If the text is not a reference graph, or a path is outside of the store or listed twice.
pub fn parse(text: &str, dir: &StoreDir) -> Result<Graph, ClosureError> {
    let json = |e: serde_json::Error| ClosureError::Json(e.to_string());
    let value = serde_json::from_str(text).map_err(json)?;
    let nodes: Vec<Node> = serde_json::from_value(list_of_nodes(value)?).map_err(json)?;
    let mut graph = Graph::default();
    for node in nodes {
        let references: Result<Vec<_>, _> =
            node.references.iter().map(|r| reference(dir, r)).collect();
        graph.add(dir.path(&node.path)?, references?)?;
    }
    Ok(graph)
}

/// Parses a reference, which may be a name without the store's folder: the newest `nix path-info`
/// prints names.
fn reference(dir: &StoreDir, text: &str) -> Result<StorePath, ClosureError> {
    if text.contains('/') { dir.path(text) } else { dir.path(&format!("{}/{text}", dir.as_str())) }
}

fn list_of_nodes(value: Value) -> Result<Value, ClosureError> {
    let Value::Object(object) = value else {
        return Ok(value);
    };
    if object.keys().all(|key| key.starts_with('/')) {
        let node = |(path, mut info): (String, Value)| {
            if let Some(info) = info.as_object_mut() {
                info.insert("path".to_owned(), path.into());
            }
            info
        };
        return Ok(object.into_iter().map(node).collect());
    }
    let mut lists = object.into_iter().filter(|(_, value)| is_list_of_paths(value));
    match (lists.next(), lists.next()) {
        (Some((_, list)), None) => Ok(list),
        (None, _) => Err(ClosureError::Json("there is no list of paths in it".to_owned())),
        (Some((one, _)), Some((two, _))) => {
            let (one, two) = (text::quote(&one), text::quote(&two));
            Err(ClosureError::Json(format!("both {one} and {two} are lists of paths")))
        }
    }
}

fn is_list_of_paths(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(|node| node.get("path").is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Result<Vec<String>, String> {
        let dir = StoreDir::new("/nix/store").unwrap();
        let graph = parse(text, &dir).map_err(|e| e.to_string())?;
        let root = ("contents".to_owned(), dir.path("/nix/store/b-b").unwrap());
        let closure = graph.closure([root]).map_err(|e| e.to_string())?;
        Ok(closure.paths().map(|path| path.name().to_owned()).collect())
    }

    #[test]
    fn all_formats_of_nix_are_parsed() {
        let list = r#"[{"path":"/nix/store/a-a","references":["/nix/store/a-a"],"narSize":1},
                       {"path":"/nix/store/b-b","references":["/nix/store/a-a"]}]"#;
        let attributes = format!(r#"{{"name":"x","graph":{list}}}"#);
        let by_path =
            r#"{"/nix/store/a-a":{"references":[]},"/nix/store/b-b":{"references":["a-a"]}}"#;
        for text in [list, &attributes, by_path] {
            assert_eq!(paths(text).unwrap(), ["a-a", "b-b"], "{text}");
        }
    }

    #[test]
    fn the_error_for_a_missing_reference_names_both_paths() {
        let error =
            paths(r#"[{"path":"/nix/store/b-b","references":["/nix/store/c-c"]}]"#).unwrap_err();
        assert!(error.starts_with("/nix/store/b-b refers to /nix/store/c-c"), "{error}");
        let error = paths("[]").unwrap_err();
        assert!(error.starts_with("contents refers to /nix/store/b-b"), "{error}");
    }

    #[test]
    fn cycles_and_self_references_are_allowed() {
        let text = r#"[{"path":"/nix/store/a-a","references":["/nix/store/b-b"]},
            {"path":"/nix/store/b-b","references":["/nix/store/b-b","/nix/store/a-a"]}]"#;
        assert_eq!(paths(text).unwrap(), ["a-a", "b-b"]);
    }

    #[test]
    fn invalid_graphs_are_rejected() {
        for text in ["", "7", r#"{"a":1}"#, r#"[{"path":"/etc"}]"#, r#"[{"path":"/nix/store/.."}]"#]
        {
            assert!(paths(text).is_err(), "{text}");
        }
        let twice = r#"[{"path":"/nix/store/b-b"},{"path":"/nix/store/b-b"}]"#;
        assert!(paths(twice).unwrap_err().contains("twice"));
    }
}

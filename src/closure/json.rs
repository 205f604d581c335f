//! Reads the reference graphs that Nix writes.
//!
//! Three shapes exist: the list of `exportReferencesGraph` under structured attributes, that list as the
//! one member of an object (the attributes file itself), and the object keyed by path that newer
//! `nix path-info --json --recursive` prints.

use serde::Deserialize;
use serde_json::Value;

use super::{ClosureError, Graph, StoreDir, StorePath};

#[derive(Deserialize)]
struct Node {
    path: String,
    #[serde(default)]
    references: Vec<String>,
}

/// Reads the reference graph `text` of the store at `dir`.
///
/// # Errors
/// When the text is no graph, or a path lies outside the store or stands there twice.
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

/// A reference may be a bare name, as the newest `nix path-info` prints them.
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
        (None, _) => Err(ClosureError::Json("no list of paths in it".to_owned())),
        (Some((one, _)), Some((two, _))) => {
            Err(ClosureError::Json(format!("both {one:?} and {two:?} are lists of paths")))
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
        let root = ("here".to_owned(), dir.path("/nix/store/b-b").unwrap());
        let closure = graph.closure([root]).map_err(|e| e.to_string())?;
        Ok(closure.paths().map(|path| path.name().to_owned()).collect())
    }

    #[test]
    fn the_three_shapes_that_nix_writes_are_read() {
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
    fn a_missing_reference_names_both_ends() {
        let error =
            paths(r#"[{"path":"/nix/store/b-b","references":["/nix/store/c-c"]}]"#).unwrap_err();
        assert!(error.starts_with("/nix/store/b-b needs /nix/store/c-c"), "{error}");
        let error = paths("[]").unwrap_err();
        assert!(error.starts_with("here needs /nix/store/b-b"), "{error}");
    }

    #[test]
    fn cycles_and_self_references_are_fine() {
        let text = r#"[{"path":"/nix/store/a-a","references":["/nix/store/b-b"]},
                       {"path":"/nix/store/b-b","references":["/nix/store/b-b","/nix/store/a-a"]}]"#;
        assert_eq!(paths(text).unwrap(), ["a-a", "b-b"]);
    }

    #[test]
    fn what_is_no_graph_is_refused() {
        for text in ["", "7", r#"{"a":1}"#, r#"[{"path":"/etc"}]"#, r#"[{"path":"/nix/store/.."}]"#]
        {
            assert!(paths(text).is_err(), "{text}");
        }
        let twice = r#"[{"path":"/nix/store/b-b"},{"path":"/nix/store/b-b"}]"#;
        assert!(paths(twice).unwrap_err().contains("twice"));
    }
}

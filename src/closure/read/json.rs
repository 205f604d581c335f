//! Graphs as JSON: lists and objects of facts about paths, and documents with such lists in them.

use std::collections::BTreeMap;

use serde::de::Deserializer;

use super::document::{Document, DocumentVisitor, Object};
use super::path_info::PathInfo;
use super::reader::{Reader, graph};
use crate::closure::{ClosureError, Graph};
use crate::text;

/// The version of `nix path-info --json-format` in which all paths are in one field.
const INFO_FORMAT: u64 = 2;

pub(super) fn parse(text: &str, mut reader: Reader<'_>) -> Result<Graph, ClosureError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = deserializer.deserialize_any(DocumentVisitor(&mut reader));
    let document = document.and_then(|document| deserializer.end().map(|()| document));
    match (reader.problem.take(), document) {
        (Some(problem), _) => Err(problem),
        (None, Err(error)) => Err(ClosureError::Unknown(error.to_string())),
        (None, Ok(document)) => document.graph(&mut reader),
    }
}

impl Document {
    fn graph(self, reader: &mut Reader<'_>) -> Result<Graph, ClosureError> {
        match self {
            Self::Strings => {
                Err(ClosureError::OtherOutput("a list of store paths without their references"))
            }
            Self::List(None) => Err(unknown("there is an entry that is not an object")),
            Self::List(Some(list)) => list_graph(list),
            Self::Object(object) => object.graph(reader),
        }
    }
}

impl Object {
    fn graph(self, reader: &mut Reader<'_>) -> Result<Graph, ClosureError> {
        if !self.by_path.is_empty() {
            return entries_graph(self.by_path, reader);
        }
        match self.info {
            Some(info) if self.version.is_some() && self.named.is_none() => {
                if self.version != Some(INFO_FORMAT) {
                    let problem =
                        format!("it is not version {INFO_FORMAT} of nix path-info --json-format");
                    return Err(ClosureError::Unknown(problem));
                }
                let dir = reader.dir.as_str();
                if let Some(found) = self.store_dir.filter(|found| found != dir) {
                    return Err(ClosureError::OtherStore { found, dir: dir.to_owned() });
                }
                entries_graph(info, reader)
            }
            _ => lists_graph(self.lists, self.named),
        }
    }
}

fn unknown(problem: &str) -> ClosureError {
    ClosureError::Unknown(problem.to_owned())
}

fn list_graph(list: Vec<PathInfo>) -> Result<Graph, ClosureError> {
    graph(list.into_iter().map(|info| info.node(None)).collect::<Result<_, _>>()?)
}

/// The graph of facts by path or name.
fn entries_graph(
    entries: Vec<(String, PathInfo)>,
    reader: &mut Reader<'_>,
) -> Result<Graph, ClosureError> {
    let node = |(name, info): (String, PathInfo)| {
        let path = reader.path_or_name(&name)?;
        info.node(Some(path))
    };
    graph(entries.into_iter().map(node).collect::<Result<_, _>>()?)
}

/// The graph that all lists together are: those that `named` names, else all that have facts about
/// paths.
fn lists_graph(
    mut lists: BTreeMap<String, Vec<PathInfo>>,
    named: Option<Vec<String>>,
) -> Result<Graph, ClosureError> {
    let is_graph = |list: &[PathInfo]| list.iter().all(PathInfo::is_path_info);
    let graphs: Vec<Vec<PathInfo>> = match named {
        Some(names) => {
            let list = |name: String| {
                lists.remove(&name).ok_or_else(|| {
                    let name = text::quote(&name);
                    ClosureError::Unknown(format!("the graph {name} is not in the file"))
                })
            };
            names.into_iter().map(list).collect::<Result<_, _>>()?
        }
        None => lists.into_values().filter(|list| is_graph(list)).collect(),
    };
    if graphs.is_empty() {
        return Err(unknown("the object has no list of store paths"));
    }
    let mut all = Graph::default();
    for list in graphs {
        all.merge(list_graph(list)?)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::closure::{ClosureError, Graph, StoreDir, parse};

    fn read(text: &str) -> Result<Graph, ClosureError> {
        parse(text, &StoreDir::new("/nix/store").unwrap())
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    /// The paths of the closure of `b-b`.
    fn paths(text: &str) -> Result<Vec<String>, ClosureError> {
        let dir = StoreDir::new("/nix/store").unwrap();
        let root = ("contents".to_owned(), dir.path("/nix/store/b-b").unwrap());
        let closure = read(text)?.closure([root])?;
        Ok(closure.paths().map(|path| path.name().to_owned()).collect())
    }

    #[test]
    fn all_formats_of_nix_are_parsed_with_sizes() {
        let list = r#"[{"path":"/nix/store/a-a","references":["/nix/store/a-a"],"narSize":7},
                       {"path":"/nix/store/b-b","references":["/nix/store/a-a"]}]"#;
        let attributes = format!(r#"{{"name":"x","graph":{list}}}"#);
        let by_path = r#"{"/nix/store/a-a":{"references":[],"narSize":7},
                          "/nix/store/b-b":{"references":["a-a"]}}"#;
        let format_2 = r#"{"info":{"a-a":{"narSize":7,"references":[],"storeDir":"/nix/store"},
                           "b-b":{"references":["a-a"],"narHash":{"algorithm":"sha256"}}},
                           "storeDir":"/nix/store","version":2}"#;
        let text = "/nix/store/a-a\n\n0\n/nix/store/b-b\n/nix/store/c-b.drv\n1\n/nix/store/a-a\n";
        let registration = "/nix/store/a-a\nsha256:0\n7\n\n0\n\
                            /nix/store/b-b\nsha256:0\n7\n/nix/store/c-b.drv\n1\n/nix/store/a-a\n";
        let dir = StoreDir::new("/nix/store").unwrap();
        let a = dir.path("/nix/store/a-a").unwrap();
        for graph in [list, &attributes, by_path, format_2, text, registration] {
            assert_eq!(paths(graph).unwrap(), ["a-a", "b-b"], "{graph}");
            let closure = read(graph).unwrap().closure([(String::new(), a.clone())]).unwrap();
            assert_eq!(closure.nar_size(&a), (graph != text).then_some(7), "{graph}");
        }
    }

    #[test]
    fn an_attributes_file_may_have_many_graphs_and_other_lists() {
        let one = r#"[{"path":"/nix/store/a-a","references":[]}]"#;
        let two = r#"[{"path":"/nix/store/a-a","references":[]},
                      {"path":"/nix/store/b-b","references":["/nix/store/a-a"]}]"#;
        let others = r#""empty":[],"texts":["x"],"files":[{"path":"/etc/x"},{"path":7}],
                        "checks":[{"references":7}],"info":{"a":{"b":1}},"version":"1.0""#;
        let named = r#""exportReferencesGraph":{"one":["/x"],"two":["/y"]}"#;
        for text in [
            format!(r#"{{{others},"one":{one},"two":{two},{named}}}"#),
            format!(r#"{{{named},{others},"one":{one},"two":{two}}}"#),
            format!(r#"{{{others},"one":{one},"two":{two}}}"#),
        ] {
            assert_eq!(paths(&text).unwrap(), ["a-a", "b-b"], "{text}");
        }
        let missing = message(&format!(r#"{{"one":{one},{named}}}"#));
        assert!(missing.contains("the graph \"two\" is not in the file"), "{missing}");
        let other = r#"[{"path":"/nix/store/a-a","references":["/nix/store/b-b"]}]"#;
        let disagree = message(&format!(r#"{{"one":{one},"two":{other},{named}}}"#));
        assert!(disagree.contains("disagree about /nix/store/a-a"), "{disagree}");
    }

    #[test]
    fn other_output_of_nix_is_rejected_by_name_with_the_right_command() {
        let list = "/nix/store/a-a\n/nix/store/b-b\n/nix/store/c-c\n";
        let tree = "/nix/store/b-b\n├───/nix/store/a-a\n";
        for (text, name) in [
            (list, "a list of store paths without their references"),
            ("/nix/store/a-a\n", "a list of store paths without their references"),
            (r#"["/nix/store/a-a"]"#, "a list of store paths without their references"),
            (tree, "the output of nix-store --query --tree"),
            ("digraph G {\n\"a\" -> \"b\";\n}\n", "the output of nix-store --query --graph"),
            ("<?xml version='1.0'?>\n<graphml>", "the output of nix-store --query --graphml"),
        ] {
            let message = message(text);
            assert!(message.starts_with(name), "{message}");
            assert!(message.contains("nix-store --dump-db $(nix-store --query --requisites PATH)"));
        }
    }

    #[test]
    fn the_error_for_a_missing_reference_names_both_paths() {
        let text = r#"[{"path":"/nix/store/b-b","references":["/nix/store/c-c"]}]"#;
        let error = paths(text).unwrap_err().to_string();
        assert!(error.starts_with("/nix/store/b-b refers to /nix/store/c-c"), "{error}");
        let error = paths("[]").unwrap_err().to_string();
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
        for (text, problem) in [
            ("", "EOF"),
            ("7", "expected a list or an object"),
            (r#"{"a":1}"#, "no list of store paths"),
            (r#"[{"path":"/etc","references":[]}]"#, "\"/etc\" is not a path of the store"),
            (r#"[{"path":"/nix/store/..","references":[]}]"#, "is not a path of the store"),
            (r#"[{"references":[]}]"#, "an entry without a path"),
            (r#"[{"path":"/nix/store/a-a"}]"#, "/nix/store/a-a has no references"),
            (r#"[{"path":"/nix/store/a-a","references":[7]}]"#, "a reference that is not text"),
            (r#"{"/nix/store/a-a":null}"#, "/nix/store/a-a is not valid"),
            (r#"[{"path":"/nix/store/a-a","valid":false}]"#, "/nix/store/a-a is not valid"),
            (r#"{"info":{},"storeDir":"/nix/store","version":3}"#, "not version 2"),
            (r#"{"info":{},"storeDir":"/gnu","version":2}"#, "is for the store \"/gnu\""),
            (
                r#"[{"path":"/nix/store/b-b","references":[]},
                    {"path":"/nix/store/b-b","references":[]}]"#,
                "twice",
            ),
        ] {
            let message = message(text);
            assert!(message.contains(problem), "{text}: {message}");
        }
    }
}

//! Parses the reference graphs that Nix writes.
//!
//! There are three formats: the list of `exportReferencesGraph` with structured attributes, an
//! object that contains this list (the attributes file itself), and an object with a field for each
//! path, which newer versions of `nix path-info --json --recursive` print.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{ClosureError, Graph, StoreDir, StorePath};
use crate::document;
use crate::text;

/// The size limit of a reference graph's file in bytes. `nix path-info --json` prints about 1 KB
/// for a path.
pub(crate) const MAX_SIZE: u64 = 128 << 20;
/// The most paths in a graph: about as many as nixpkgs has packages.
const MAX_PATHS: usize = 100_000;
/// The most references in a graph. Each takes about 30 bytes of memory.
const MAX_REFERENCES: usize = 2_000_000;

/// Parses the reference graph of the store at `dir`.
///
/// # Errors
/// If the text is not a reference graph, a path is outside of the store or listed twice, or the
/// graph is too large.
pub fn parse(text: &str, dir: &StoreDir) -> Result<Graph, ClosureError> {
    let mut reader = Reader { dir, known: HashSet::new(), nodes: 0, references: 0, problem: None };
    let mut deserializer = serde_json::Deserializer::from_str(document::without_mark(text));
    let nodes = deserializer.deserialize_any(DocumentVisitor(&mut reader));
    let nodes = nodes.and_then(|nodes| deserializer.end().map(|()| nodes));
    let nodes = match (reader.problem, nodes) {
        (Some(problem), _) => return Err(problem),
        (None, nodes) => nodes.map_err(|error| ClosureError::Json(error.to_string()))?,
    };
    let mut graph = Graph::default();
    for Node { path, references, nar_size } in nodes {
        graph.add(path, references, nar_size)?;
    }
    Ok(graph)
}

/// Converts what is parsed to store paths at once: the text of a large graph as a tree of JSON
/// values would take much more memory than the graph.
struct Reader<'d> {
    dir: &'d StoreDir,
    /// The paths so far. Each is in memory once, however many others refer to it.
    known: HashSet<StorePath>,
    nodes: usize,
    references: usize,
    /// The error that ended parsing, if it is not one of JSON.
    problem: Option<ClosureError>,
}

impl Reader<'_> {
    fn path<E: Error>(&mut self, text: &str) -> Result<StorePath, E> {
        if let Some(path) = self.known.get(text) {
            return Ok(path.clone());
        }
        let path = self.dir.path(text).map_err(|problem| self.fail(problem))?;
        self.known.insert(path.clone());
        Ok(path)
    }

    /// Parses a reference, which may be a name without the store's folder: the newest `nix
    /// path-info` prints names.
    fn reference<E: Error>(&mut self, text: &str) -> Result<StorePath, E> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(self.fail(ClosureError::TooLarge("references", MAX_REFERENCES)));
        }
        match text.contains('/') {
            true => self.path(text),
            false => self.path(&format!("{}/{text}", self.dir.as_str())),
        }
    }

    fn count_node<E: Error>(&mut self) -> Result<(), E> {
        self.nodes += 1;
        match self.nodes > MAX_PATHS {
            true => Err(self.fail(ClosureError::TooLarge("paths", MAX_PATHS))),
            false => Ok(()),
        }
    }

    fn fail<E: Error>(&mut self, problem: ClosureError) -> E {
        let error = E::custom(&problem);
        self.problem = Some(problem);
        error
    }
}

/// A path of the graph.
struct Node {
    path: StorePath,
    references: Vec<StorePath>,
    nar_size: Option<u64>,
}

/// A visitor method that ignores a value of a type that no graph has in this place.
macro_rules! ignore {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method<E: Error>(self, _: $kind) -> Result<Self::Value, E> { Ok(None) })*
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { Ok(None) }
    };
}

/// The document: a list of nodes, an object by path, or an object with a list of nodes.
struct DocumentVisitor<'r, 'd>(&'r mut Reader<'d>);

impl<'de> Visitor<'de> for DocumentVisitor<'_, '_> {
    type Value = Vec<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<Node>, A::Error> {
        let nodes = NodeList(self.0).visit_seq(list)?;
        nodes.ok_or_else(|| A::Error::custom("there is an entry without a path"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Vec<Node>, A::Error> {
        let mut by_path = Vec::new();
        let mut lists: Vec<(String, Vec<Node>)> = Vec::new();
        let mut others = false;
        while let Some(key) = object.next_key::<String>()? {
            if key.starts_with('/') {
                let path = self.0.path(&key)?;
                let info = object.next_value_seed(InfoSeed(self.0))?;
                let Info { references, nar_size, .. } = info.ok_or_else(|| {
                    A::Error::custom(format_args!("{} is not an object", text::quote(&key)))
                })?;
                by_path.push(Node { path, references, nar_size });
            } else {
                others = true;
                let list = object.next_value_seed(NodeList(self.0))?;
                lists.extend(list.map(|list| (key, list)));
            }
        }
        if !others {
            return Ok(by_path);
        }
        // Other attributes may be empty lists.
        if lists.iter().any(|(_, list)| !list.is_empty()) {
            lists.retain(|(_, list)| !list.is_empty());
        }
        match (lists.pop(), lists.pop()) {
            (Some((_, list)), None) => Ok(list),
            (Some((_, list)), Some(_)) if list.is_empty() => Ok(list),
            (None, _) => Err(A::Error::custom("the object has no list of store paths")),
            (Some((two, _)), Some((one, _))) => Err(A::Error::custom(format_args!(
                "both {} and {} are lists of paths",
                text::quote(&one),
                text::quote(&two)
            ))),
        }
    }
}

/// A list of nodes; `None` for anything else.
struct NodeList<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for NodeList<'_, '_> {
    type Value = Option<Vec<Node>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeList<'_, '_> {
    type Value = Option<Vec<Node>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(info) = list.next_element_seed(InfoSeed(self.0))? {
            let Some(Info { path: Some(path), references, nar_size }) = info else {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            };
            nodes.push(Node { path, references, nar_size });
        }
        Ok(Some(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    ignore!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

/// The facts about a path.
struct Info {
    path: Option<StorePath>,
    references: Vec<StorePath>,
    nar_size: Option<u64>,
}

/// The facts about a path; `None` if it is not an object.
struct InfoSeed<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for InfoSeed<'_, '_> {
    type Value = Option<Info>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InfoSeed<'_, '_> {
    type Value = Option<Info>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with path and references")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        self.0.count_node()?;
        let mut info = Info { path: None, references: Vec::new(), nar_size: None };
        while let Some(key) = object.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "path" => info.path = Some(object.next_value_seed(PathSeed(self.0))?),
                "references" => info.references = object.next_value_seed(References(self.0))?,
                "narSize" => info.nar_size = object.next_value()?,
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(info))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    ignore!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

/// A store path.
struct PathSeed<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for PathSeed<'_, '_> {
    type Value = StorePath;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<StorePath, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PathSeed<'_, '_> {
    type Value = StorePath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store path")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StorePath, E> {
        self.0.path(text)
    }
}

/// A list of references.
struct References<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for References<'_, '_> {
    type Value = Vec<StorePath>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for References<'_, '_> {
    type Value = Vec<StorePath>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of store paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut references = Vec::new();
        while let Some(reference) = list.next_element_seed(Reference(self.0))? {
            references.push(reference);
        }
        Ok(references)
    }
}

/// A reference: a store path or its name.
struct Reference<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for Reference<'_, '_> {
    type Value = StorePath;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<StorePath, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Reference<'_, '_> {
    type Value = StorePath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store path or its name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StorePath, E> {
        self.0.reference(text)
    }
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
    fn sizes_are_kept() {
        let dir = StoreDir::new("/nix/store").unwrap();
        let text = r#"[{"path":"/nix/store/a-a","references":[],"narSize":226504},
                       {"path":"/nix/store/b-b","references":["/nix/store/a-a"]}]"#;
        let path = |name: &str| dir.path(&format!("/nix/store/{name}")).unwrap();
        let root = ("contents".to_owned(), path("b-b"));
        let closure = parse(text, &dir).unwrap().closure([root]).unwrap();
        assert_eq!(closure.nar_size(&path("a-a")), Some(226_504));
        assert_eq!(closure.nar_size(&path("b-b")), None);
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

//! The facts about one path in a graph's JSON.
//!
//! An attributes file has other lists and objects beside its graphs, with anything in them. So only
//! limits are errors here. A mistake is kept as the problem of the facts, and counts if they turn
//! out to be part of a graph.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::reader::{Node, Reader};
use crate::closure::{ClosureError, StorePath};
use crate::text;

/// The facts about a path.
#[derive(Default)]
pub(super) struct PathInfo {
    pub(super) path: Option<StorePath>,
    /// The paths that it refers to, if the document lists them.
    references: Option<Vec<StorePath>>,
    nar_size: Option<u64>,
    problem: Option<ClosureError>,
}

impl PathInfo {
    /// The facts of a path that Nix does not have: it prints null instead.
    fn invalid(path: &str) -> Self {
        Self { problem: Some(ClosureError::Invalid(path.to_owned())), ..Self::default() }
    }

    /// Whether these are the facts about a store path, rather than an object with something else.
    pub(super) fn is_path_info(&self) -> bool {
        self.references.is_some() || self.problem.is_some()
    }

    /// The node of `path`, or of the path that is among the facts.
    pub(super) fn node(self, path: Option<StorePath>) -> Result<Node, ClosureError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let Some(path) = path.or(self.path) else {
            return Err(ClosureError::Unknown("there is an entry without a path".to_owned()));
        };
        let Some(references) = self.references else {
            let problem = format!("{} has no references", text::shorten(path.as_str()));
            return Err(ClosureError::Unknown(problem));
        };
        Ok(Node { path, references, nar_size: self.nar_size })
    }
}

/// A JSON value that is an object with facts; `None` if it is anything else. A null is the facts of
/// a path that Nix does not have, if the path is known.
pub(super) struct PathInfoSeed<'r, 'd> {
    pub(super) reader: &'r mut Reader<'d>,
    pub(super) path: Option<&'r str>,
}

/// Visitor methods for values of other types, which are ignored.
macro_rules! ignore_values {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method<E: Error>(self, _: $kind) -> Result<Self::Value, E> { Ok(None) })*
    };
    (scalars) => {
        ignore_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
        ignore_values!(visit_str: &str);
    };
    (list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    };
    (object) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    };
    (null) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { Ok(None) }
    };
}
pub(super) use ignore_values;

impl<'de> DeserializeSeed<'de> for PathInfoSeed<'_, '_> {
    type Value = Option<PathInfo>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PathInfoSeed<'_, '_> {
    type Value = Option<PathInfo>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with path and references")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        self.reader.count_node().map_err(|problem| self.reader.fail(problem))?;
        let mut info = PathInfo::default();
        while let Some(key) = object.next_key::<Cow<'de, str>>()? {
            match &*key {
                "path" => match object.next_value::<Value>()?.as_str() {
                    Some(path) => match self.reader.path_or_name(path) {
                        Ok(path) => info.path = Some(path),
                        Err(problem) => info.problem = Some(problem),
                    },
                    None => drop(info.path.take()),
                },
                "references" => match object.next_value_seed(References(self.reader))? {
                    Some(Ok(references)) => info.references = Some(references),
                    Some(Err(problem)) => info.problem = Some(problem),
                    None => {}
                },
                "narSize" => info.nar_size = object.next_value::<Value>()?.as_u64(),
                "valid" => {
                    let is_invalid = object.next_value::<Value>()?.as_bool() == Some(false);
                    if let (true, Some(path)) = (is_invalid, info.path.as_ref()) {
                        info.problem = Some(ClosureError::Invalid(path.as_str().to_owned()));
                    }
                }
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(info))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.path.map(PathInfo::invalid))
    }

    ignore_values!(list);
    ignore_values!(scalars);
}

/// A list of references; `None` if it is anything else.
struct References<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for References<'_, '_> {
    type Value = Option<Result<Vec<StorePath>, ClosureError>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for References<'_, '_> {
    type Value = Option<Result<Vec<StorePath>, ClosureError>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of store paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut references = Ok(Vec::new());
        while let Some(reference) = list.next_element::<Text<'de>>()? {
            let Ok(found) = &mut references else { continue };
            match reference.0.map(|text| self.0.reference(&text)) {
                Some(Ok(path)) => found.push(path),
                Some(Err(problem @ ClosureError::TooLarge(..))) => {
                    return Err(self.0.fail(problem));
                }
                Some(Err(problem)) => references = Err(problem),
                None => {
                    let problem = "there is a reference that is not text".to_owned();
                    references = Err(ClosureError::Unknown(problem));
                }
            }
        }
        Ok(Some(references))
    }

    ignore_values!(object);
    ignore_values!(scalars);
    ignore_values!(null);
}

/// A string; `None` if it is anything else.
struct Text<'de>(Option<Cow<'de, str>>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    ignore_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
    ignore_values!(list);
    ignore_values!(object);
    ignore_values!(null);
}

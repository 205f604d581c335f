//! JSON documents that are graphs or have graphs in them, as they are read.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::path_info::{PathInfo, PathInfoSeed, ignore_values};
use super::reader::Reader;

/// A JSON document that may be a graph or have graphs in it.
pub(super) enum Document {
    /// A list of facts; `None` if it has elements of another kind.
    List(Option<Vec<PathInfo>>),
    /// A list of strings.
    Strings,
    Object(Object),
}

/// The parts of an object that may be a graph.
#[derive(Default)]
pub(super) struct Object {
    /// Fields by path.
    pub(super) by_path: Vec<(String, PathInfo)>,
    /// The entries of the field `info`.
    pub(super) info: Option<Vec<(String, PathInfo)>>,
    /// The fields `storeDir` and `version`, which accompany `info`.
    pub(super) store_dir: Option<String>,
    pub(super) version: Option<u64>,
    /// The fields that are lists of objects, or empty.
    pub(super) lists: BTreeMap<String, Vec<PathInfo>>,
    /// The names in the field `exportReferencesGraph`.
    pub(super) named: Option<Vec<String>>,
}

/// Reads a document.
pub(super) struct DocumentVisitor<'r, 'd>(pub(super) &'r mut Reader<'d>);

impl<'de> Visitor<'de> for DocumentVisitor<'_, '_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Document, A::Error> {
        let mut strings = false;
        let list = ListSeed { reader: self.0, strings: &mut strings }.visit_seq(list)?;
        Ok(if strings { Document::Strings } else { Document::List(list) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Document, A::Error> {
        let mut object = Object::default();
        while let Some(key) = fields.next_key::<String>()? {
            match key.as_str() {
                path if path.starts_with('/') => {
                    let seed = PathInfoSeed { reader: self.0, path: Some(path) };
                    let info = fields.next_value_seed(seed)?.unwrap_or_default();
                    object.by_path.push((key, info));
                }
                "info" => object.info = fields.next_value_seed(EntriesSeed(self.0))?,
                "storeDir" => {
                    object.store_dir = fields.next_value::<Value>()?.as_str().map(str::to_owned);
                }
                "version" => object.version = fields.next_value::<Value>()?.as_u64(),
                "exportReferencesGraph" => {
                    object.named = match fields.next_value::<Value>()? {
                        Value::Object(graphs) => Some(graphs.keys().cloned().collect()),
                        _ => None,
                    };
                }
                _ => {
                    let seed = ListSeed { reader: self.0, strings: &mut false };
                    if let Some(list) = fields.next_value_seed(seed)? {
                        object.lists.insert(key, list);
                    }
                }
            }
        }
        Ok(Document::Object(object))
    }
}

/// A list of objects; `None` for anything else.
struct ListSeed<'r, 'd> {
    reader: &'r mut Reader<'d>,
    /// Set if the list begins with a string.
    strings: &'r mut bool,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_> {
    type Value = Option<Vec<PathInfo>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_> {
    type Value = Option<Vec<PathInfo>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut infos = Vec::new();
        loop {
            let seed = PathInfoSeed { reader: &mut *self.reader, path: None };
            let Some(info) = list.next_element_seed(seed)? else { break };
            let Some(info) = info else {
                *self.strings = infos.is_empty();
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            };
            infos.push(info);
        }
        Ok(Some(infos))
    }

    ignore_values!(object);
    ignore_values!(scalars);
    ignore_values!(null);
}

/// An object with facts by name; `None` for anything else.
struct EntriesSeed<'r, 'd>(&'r mut Reader<'d>);

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_, '_> {
    type Value = Option<Vec<(String, PathInfo)>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_, '_> {
    type Value = Option<Vec<(String, PathInfo)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a field for each path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            let seed = PathInfoSeed { reader: &mut *self.0, path: Some(&name) };
            let info = object.next_value_seed(seed)?.unwrap_or_default();
            entries.push((name, info));
        }
        Ok(Some(entries))
    }

    ignore_values!(list);
    ignore_values!(scalars);
    ignore_values!(null);
}

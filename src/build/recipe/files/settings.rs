//! The keys of contents, paths, accounts and their types, as written.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::rules::XattrRule;
use super::{ModeRule, OwnerSpec};
use crate::build::recipe::tables::{Table, Tables};
use crate::document::string_or_list::StringOrList;

/// An entry of `contents`.
#[derive(Debug)]
pub(in crate::build::recipe) enum ContentSettings {
    /// The path of a file, folder or store path.
    Path(String),
    /// A table.
    Table(Box<ContentTable>),
}

/// A table in `contents`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::build::recipe) struct ContentTable {
    pub(super) source: Option<String>,
    pub(super) tar: Option<String>,
    pub(super) layer: Option<String>,
    pub(super) image: Option<String>,
    pub(super) target: Option<String>,
    pub(super) include: Option<StringOrList>,
    pub(super) exclude: Option<StringOrList>,
    pub(super) owner: Option<OwnerSetting>,
    pub(super) mode: Option<ModeSetting>,
    pub(super) follow_links: Option<bool>,
    pub(super) xattrs: Option<XattrRule>,
}

/// The entries of `contents`: one, or a list.
#[derive(Debug, Default)]
pub(in crate::build::recipe) struct ContentList(pub(in crate::build) Vec<ContentSettings>);

/// An entry of `path`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with path")]
pub(in crate::build::recipe) struct PathSettings {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<PathKind>,
    pub(super) content: Option<String>,
    pub(super) source: Option<String>,
    pub(super) target: Option<String>,
    pub(super) owner: Option<OwnerSetting>,
    pub(super) mode: Option<ModeSetting>,
    pub(super) recursive: Option<bool>,
    pub(super) capabilities: Option<StringOrList>,
    pub(super) xattrs: Option<BTreeMap<String, String>>,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) remove: Option<bool>,
}

impl Table for PathSettings {
    const KEY: &'static str = "path";
}

/// An entry of `layer`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with name")]
pub(in crate::build::recipe) struct LayerSettings {
    pub(super) name: String,
    pub(super) paths: Option<StringOrList>,
    pub(super) store_paths: Option<StringOrList>,
}

/// The kind of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::build::recipe) enum PathKind {
    Directory,
    File,
    Symlink,
    Hardlink,
    Fifo,
    Char,
    Block,
}

impl Table for LayerSettings {
    const KEY: &'static str = "layer";
}

/// The table `accounts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with users and groups")]
pub(in crate::build::recipe) struct AccountSettings {
    #[serde(default)]
    pub(super) users: Tables<UserSettings>,
    #[serde(default)]
    pub(super) groups: Tables<GroupSettings>,
}

/// A table in `accounts.users`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with name and uid")]
pub(in crate::build::recipe) struct UserSettings {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: Option<u32>,
    pub(super) home: Option<String>,
    pub(super) shell: Option<String>,
    pub(super) groups: Option<StringOrList>,
}

impl Table for UserSettings {
    const KEY: &'static str = "accounts.users";
}

/// A table in `accounts.groups`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with name and gid")]
pub(in crate::build::recipe) struct GroupSettings {
    pub(super) name: String,
    pub(super) gid: u32,
}

impl Table for GroupSettings {
    const KEY: &'static str = "accounts.groups";
}

/// An owner: text or a number.
#[derive(Debug)]
pub(in crate::build::recipe) struct OwnerSetting(String);

/// A mode: text, or a table with those of files and directories.
#[derive(Debug)]
pub(in crate::build::recipe) enum ModeSetting {
    /// For both.
    Both(String),
    /// For each.
    Apart(ModeTable),
}

/// A table with modes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::build::recipe) struct ModeTable {
    files: Option<String>,
    directories: Option<String>,
}

impl OwnerSetting {
    /// The owner; `key` is where it is.
    pub(super) fn spec(&self, key: &str) -> Result<OwnerSpec, String> {
        OwnerSpec::parse(&self.0).map_err(|problem| format!("{key}: owner {problem}"))
    }
}

impl ModeSetting {
    /// The rule; `key` is where it is.
    pub(super) fn rule(&self, key: &str) -> Result<ModeRule, String> {
        let rule = match self {
            Self::Both(text) => ModeRule::parse(text),
            Self::Apart(ModeTable { files, directories }) => {
                ModeRule::parse_apart(files.as_deref(), directories.as_deref())
            }
        };
        rule.map_err(|problem| format!("{key}: mode {problem}"))
    }
}

impl<'de> Deserialize<'de> for ContentSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrTable;
        impl<'de> Visitor<'de> for PathOrTable {
            type Value = ContentSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a table with source, tar, layer or image")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ContentSettings, E> {
                Ok(ContentSettings::Path(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<ContentSettings, A::Error> {
                let table = ContentTable::deserialize(MapAccessDeserializer::new(table))?;
                Ok(ContentSettings::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(PathOrTable)
    }
}

impl<'de> Deserialize<'de> for ContentList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = ContentList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, a table, or a list of these")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ContentList, E> {
                Ok(ContentList(vec![ContentSettings::Path(text.to_owned())]))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<ContentList, A::Error> {
                let entry = ContentTable::deserialize(MapAccessDeserializer::new(table))?;
                Ok(ContentList(vec![ContentSettings::Table(Box::new(entry))]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ContentList, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    entries.push(entry);
                }
                Ok(ContentList(entries))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl<'de> Deserialize<'de> for OwnerSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = OwnerSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an owner such as \"1000:1000\" or \"app\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OwnerSetting, E> {
                Ok(OwnerSetting(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<OwnerSetting, E> {
                Ok(OwnerSetting(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<OwnerSetting, E> {
                Ok(OwnerSetting(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

impl<'de> Deserialize<'de> for ModeSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = ModeSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mode in quotes such as \"0755\", or a table with files, directories")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ModeSetting, E> {
                Ok(ModeSetting::Both(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<ModeSetting, A::Error> {
                let table = ModeTable::deserialize(MapAccessDeserializer::new(table))?;
                Ok(ModeSetting::Apart(table))
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

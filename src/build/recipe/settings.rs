//! The keys of a recipe and their types, as written.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::files::{
    ConflictRule, XattrRule,
    settings::{AccountSettings, ContentList, LayerSettings, PathSettings},
};
use super::from_image::FromImageSetting;
use super::layering_setting::LayeringSetting;
use super::run_settings::RunSettings;
use super::tables::Tables;
pub(super) use crate::document::string_or_list::StringOrList;

/// Every key of a recipe, and dockerTools' names for some. The tables of `per_platform` have no
/// name.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings<N = String> {
    pub(super) name: N,
    pub(super) tag: Option<String>,
    pub(super) tags: Option<StringOrList>,
    #[serde(alias = "layeringPipeline")]
    pub(super) layering: Option<LayeringSetting>,
    #[serde(alias = "fromImage")]
    pub(super) from_image: Option<FromImageSetting>,
    #[serde(alias = "fromImageName")]
    pub(super) from_image_name: Option<String>,
    #[serde(alias = "fromImageTag")]
    pub(super) from_image_tag: Option<String>,
    #[serde(alias = "copyToRoot", alias = "copy_to_root")]
    pub(super) contents: Option<ContentList>,
    pub(super) path: Option<Tables<PathSettings>>,
    pub(super) layer: Option<Tables<LayerSettings>>,
    pub(super) package_layers: Option<bool>,
    pub(super) accounts: Option<AccountSettings>,
    pub(super) helpers: Option<StringOrList>,
    pub(super) xattrs: Option<XattrRule>,
    pub(super) on_conflict: Option<ConflictRule>,
    pub(super) replace: Option<StringOrList>,
    pub(super) architecture: Option<String>,
    pub(super) variant: Option<String>,
    /// Resolved before, by `platforms.rs`; it is here so that errors can suggest it.
    pub(super) platforms: Option<IgnoredAny>,
    /// Resolved by `per_platform.rs`; it is here so that its keys are checked.
    pub(super) per_platform: Option<BTreeMap<String, Option<Settings<Option<String>>>>>,
    pub(super) created: Option<TimeText>,
    pub(super) mtime: Option<TimeText>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) uname: Option<String>,
    pub(super) gname: Option<String>,
    #[serde(alias = "maxLayers")]
    pub(super) max_layers: Option<usize>,
    #[serde(alias = "keepContentsDirlinks")]
    pub(super) keep_contents_dirlinks: Option<bool>,
    #[serde(alias = "includeStorePaths")]
    pub(super) include_store_paths: Option<bool>,
    pub(super) store: Option<StoreSettings>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) annotations_from_labels: Option<bool>,
    pub(super) config: Option<Map<String, Value>>,
    pub(super) inherit: Option<StringOrList>,
    pub(super) clear: Option<StringOrList>,
    pub(super) run: Option<Tables<RunSettings>>,
    #[serde(alias = "extraCommands")]
    pub(super) extra_commands: Option<String>,
    #[serde(alias = "fakeRootCommands")]
    pub(super) fake_root_commands: Option<String>,
    #[serde(alias = "enableFakechroot")]
    pub(super) enable_fakechroot: Option<bool>,
    #[serde(alias = "runAsRoot")]
    pub(super) run_as_root: Option<String>,
}

/// Other names of keys, as in the attributes above, and the usual ones.
const OTHER_NAMES: [(&str, &str); 13] = [
    ("layeringPipeline", "layering"),
    ("fromImage", "from_image"),
    ("fromImageName", "from_image_name"),
    ("fromImageTag", "from_image_tag"),
    ("copyToRoot", "contents"),
    ("copy_to_root", "contents"),
    ("maxLayers", "max_layers"),
    ("keepContentsDirlinks", "keep_contents_dirlinks"),
    ("includeStorePaths", "include_store_paths"),
    ("extraCommands", "extra_commands"),
    ("fakeRootCommands", "fake_root_commands"),
    ("enableFakechroot", "enable_fakechroot"),
    ("runAsRoot", "run_as_root"),
];

/// The usual name of `key`.
pub(super) fn usual_name(key: &str) -> &str {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == key);
    other.map_or(key, |(_, usual)| usual)
}

/// The table `store`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as [store]")]
pub(super) struct StoreSettings {
    pub(super) dir: Option<String>,
    pub(super) source: Option<String>,
    pub(super) closure: Option<String>,
    pub(super) layers: Option<Vec<StringOrList>>,
    pub(super) roots: Option<StringOrList>,
    pub(super) exclude: Option<StringOrList>,
    pub(super) include: Option<bool>,
}

/// A time as text, or as a date-time of TOML, which has no quotes.
#[derive(Debug)]
pub(super) struct TimeText(pub(super) String);

/// The name by which the `toml` crate hands out a date-time as a table with one key.
const TOML_DATETIME: &str = "$__toml_private_datetime";

impl<'de> Deserialize<'de> for TimeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = TimeText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time such as \"2024-01-31T12:00:00Z\", \"2024-01-31\", or \"@1706702400\" \
                     for seconds since 1970",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeText, E> {
                Ok(TimeText(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<TimeText, A::Error> {
                match table.next_key::<String>()? {
                    Some(key) if key == TOML_DATETIME => Ok(TimeText(table.next_value()?)),
                    _ => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::keys_of;

    #[test]
    fn every_other_name_of_a_key_has_a_usual_one() {
        let keys = keys_of::<Settings>();
        let is_other = |key: &&str| *key == "copy_to_root" || key.contains(char::is_uppercase);
        let mut others: Vec<&str> = keys.iter().copied().filter(is_other).collect();
        others.sort_unstable();
        let mut listed = OTHER_NAMES.map(|(other, _)| other);
        listed.sort_unstable();
        assert_eq!(others, listed);
        assert!(OTHER_NAMES.iter().all(|(_, usual)| keys.contains(usual)));
    }
}

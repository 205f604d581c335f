//! The table `per_platform`: keys of a recipe that differ between its platforms.
//!
//! A platform's key replaces the recipe's key of the same name. Fields of `config` and annotations
//! are merged by name.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::settings::{StringOrList, usual_name};
use super::{Recipe, parse, values};
use crate::document;
use crate::image::{Platform, Timestamp, inherit};
use crate::text;
use crate::text::suggest;

/// The key that lists the platforms.
pub(super) const PLATFORMS: &str = "platforms";
/// Keys for recipes with one platform.
pub(super) const ONE_PLATFORM_KEYS: [&str; 2] = ["architecture", "variant"];
/// The table with the keys that differ between platforms.
pub(super) const PER_PLATFORM: &str = "per_platform";
/// Keys that cannot differ between platforms.
const COMMON_KEYS: [&str; 3] = ["name", "tag", "tags"];
/// The keys that [`PlatformKeys`] merges.
const CONFIG: &str = "config";
const CLEAR: &str = "clear";
const ANNOTATIONS: &str = "annotations";

/// The keys of a recipe with several platforms, whose types were checked.
pub(super) struct PlatformKeys {
    /// Those for all platforms, without `config` and `clear`.
    shared: Map<String, Value>,
    /// The fields of the shared `config`, with a null for each in `clear`.
    config: Map<String, Value>,
    /// The tables of platforms, by name.
    tables: Map<String, Value>,
}

impl PlatformKeys {
    /// Takes the keys `shared` by all `platforms` and the table `per_platform`.
    ///
    /// # Errors
    /// If it is not a table of platforms, or the shared `config` is invalid.
    pub(super) fn new(
        mut shared: Map<String, Value>,
        per_platform: Option<Value>,
        platforms: &[String],
    ) -> Result<Self, String> {
        let tables = match per_platform {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(tables)) => tables,
            Some(_) => {
                let expected = "a table with a table for each platform";
                return Err(format!("{PER_PLATFORM} must be {expected}"));
            }
        };
        if let Some(name) = tables.keys().find(|name| !platforms.contains(name)) {
            return Err(unlisted(name, platforms));
        }
        let config = take_config(&mut shared)?;
        Ok(Self { shared, config, tables })
    }

    /// The recipe for the platform `name`, read from the document at `path` at the time `now`.
    ///
    /// # Errors
    /// If the keys describe an impossible image; if only the platform's own keys do, the error
    /// names the platform.
    pub(super) fn recipe(&self, path: &Path, name: &str, now: Timestamp) -> Result<Recipe, String> {
        let own = self.own(name);
        let read = |own| parse::from_value(path, self.merged(name, own)?.into(), now);
        let is_shared = own.is_empty();
        read(own).map_err(|problem| match is_shared || read(Map::new()).is_err() {
            true => problem,
            false => format!("{PER_PLATFORM}.{}: {problem}", text::quote(name)),
        })
    }

    /// The keys of the recipe for the platform `name`.
    ///
    /// # Errors
    /// If they cannot be merged.
    pub(super) fn keys(&self, name: &str) -> Result<Map<String, Value>, String> {
        self.merged(name, self.own(name))
    }

    /// The keys in the table of the platform `name`.
    fn own(&self, name: &str) -> Map<String, Value> {
        match self.tables.get(name) {
            Some(Value::Object(own)) => own.clone(),
            _ => Map::new(),
        }
    }

    /// The keys of the recipe for the platform `name`, which has these keys of its `own`.
    fn merged(
        &self,
        name: &str,
        mut own: Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        let own_config = take_config(&mut own)?;
        let config = inherit::with_own_fields(&self.config, &own_config)
            .map_err(|error| format!("config.Env: {error}"))?;
        let mut all = self.shared.clone();
        all.insert("architecture".to_owned(), name.into());
        all.insert(CONFIG.to_owned(), config.into());
        for (key, value) in own {
            if COMMON_KEYS.contains(&key.as_str()) {
                return Err(format!("{key} is the same for all platforms; remove it here"));
            }
            if ONE_PLATFORM_KEYS.contains(&key.as_str()) {
                return Err(format!("{key} is set by {PLATFORMS}; remove it here"));
            }
            let value = match (all.remove(&key), value) {
                (Some(Value::Object(shared)), Value::Object(own)) if key == ANNOTATIONS => {
                    shared.into_iter().chain(own).collect()
                }
                (_, own) => own,
            };
            all.retain(|shared, _| usual_name(shared) != usual_name(&key));
            all.insert(key, value);
        }
        Ok(all)
    }
}

/// Removes `config` and `clear` from `keys`, and returns the fields of `config`, with a null for
/// each in `clear`.
fn take_config(keys: &mut Map<String, Value>) -> Result<Map<String, Value>, String> {
    values::config(take(keys, CONFIG)?, take::<StringOrList>(keys, CLEAR)?)
}

/// Removes `key` from `keys`, and returns its value, or the default one.
fn take<T: DeserializeOwned + Default>(
    keys: &mut Map<String, Value>,
    key: &str,
) -> Result<T, String> {
    let value: Option<T> = match keys.remove(key) {
        Some(value) => document::from_value(value).map_err(|problem| problem.text)?,
        None => None,
    };
    Ok(value.unwrap_or_default())
}

/// Describes the table `name` of `per_platform`, which is not the table of a platform.
fn unlisted(name: &str, platforms: &[String]) -> String {
    let platform = name.parse::<Platform>().ok();
    let same = |listed: &&String| platform.is_some() && listed.parse().ok() == platform;
    let nearest = platforms
        .iter()
        .find(same)
        .map(String::as_str)
        .or_else(|| suggest::nearest(name, platforms.iter().map(String::as_str)));
    let hint = suggest::hint(&nearest);
    format!("{PER_PLATFORM} has {}, which {PLATFORMS} does not list{hint}", text::quote(name))
}

//! Single values of a recipe, checked.

use serde_json::{Map, Value};

use super::TimeSetting;
use super::misplaced::top_level_hint;
use super::settings::{Settings, StringOrList};
use crate::archive::Attributes;
use crate::image::{FieldError, Inherit, Platform, Tag, Timestamp, fields};
use crate::text;

/// The size of the user and group name fields of a tar header, without the NUL at the end.
const OWNER_NAME_MAX: usize = 31;

/// The tags of `tag` or `tags`.
pub(super) fn tags(tag: Option<String>, tags: Option<StringOrList>) -> Result<Vec<Tag>, String> {
    let tags: Vec<String> = match (tag, tags.map(Vec::from)) {
        (Some(_), Some(_)) => {
            return Err("tag and tags exclude each other; move the tag to tags".to_owned());
        }
        (None, Some(tags)) if tags.is_empty() => {
            return Err("tags is empty; remove it to get a derived tag".to_owned());
        }
        (tag, tags) => tags.unwrap_or_else(|| tag.into_iter().collect()),
    };
    let mut parsed: Vec<Tag> = Vec::new();
    for tag in tags {
        let tag = tag.parse::<Tag>().map_err(|error| error.to_string())?;
        if parsed.contains(&tag) {
            return Err(format!("tags lists {tag} twice"));
        }
        parsed.push(tag);
    }
    Ok(parsed)
}

/// The owner of all files.
pub(super) fn owner(settings: &Settings) -> Result<Attributes, String> {
    let name = |key: &str, name: &Option<String>| match name {
        Some(name) if name.len() > OWNER_NAME_MAX || name.contains('\0') => {
            let name = text::quote(name);
            Err(format!("{key} {name} is longer than {OWNER_NAME_MAX} bytes or contains a NUL"))
        }
        name => Ok(name.clone().unwrap_or_else(|| "root".to_owned())),
    };
    let number = |key: &str, number: Option<u32>| match number {
        Some(u32::MAX) => {
            Err(format!("{key} {} means no {key} to Linux; use a lower number", u32::MAX))
        }
        number => Ok(number.unwrap_or(0).into()),
    };
    Ok(Attributes {
        uid: number("uid", settings.uid)?,
        gid: number("gid", settings.gid)?,
        uname: name("uname", &settings.uname)?,
        gname: name("gname", &settings.gname)?,
        mtime: Timestamp::DEFAULT,
    })
}

/// The checked `config`, with a null for every field in `clear` and durations in nanoseconds.
pub(super) fn config(
    mut config: Map<String, Value>,
    clear: StringOrList,
) -> Result<Map<String, Value>, String> {
    for name in Vec::from(clear) {
        fields::find(&name).map_err(|e| format!("clear: {e}"))?;
        if config.insert(name.clone(), Value::Null).is_some_and(|value| !value.is_null()) {
            return Err(format!(
                "clear lists {}, but config sets it; remove it from one of them",
                text::quote(&name)
            ));
        }
    }
    fields::check(&config).map_err(|error| match &error {
        FieldError::Unknown { object, name, .. } if object == "config" => {
            match top_level_hint(name) {
                Some(hint) => format!("config has no field {}{hint}", text::quote(name)),
                None => error.to_string(),
            }
        }
        _ => error.to_string(),
    })?;
    fields::convert(&mut config);
    Ok(config)
}

/// The fields to inherit.
pub(super) fn inherit(names: Option<StringOrList>) -> Result<Inherit, String> {
    match names.map(Vec::from) {
        None => Ok(Inherit::Nothing),
        Some(names) if names == ["none"] => Ok(Inherit::Nothing),
        Some(names) if names == ["all"] => Ok(Inherit::All),
        Some(names) => Inherit::fields(names)
            .map_err(|e| format!("inherit: {e}; \"all\" and \"none\" are valid too")),
    }
}

/// The platform of `architecture` and `variant`.
pub(super) fn platform(
    architecture: Option<String>,
    variant: Option<String>,
) -> Result<Option<Platform>, String> {
    let platform = architecture
        .map(|name| name.parse::<Platform>())
        .transpose()
        .map_err(|e| format!("architecture: {e}"))?;
    match (platform, variant) {
        (platform, None) => Ok(platform),
        (Some(platform), Some(variant)) => {
            platform.with_variant(&variant).map(Some).map_err(|e| format!("variant: {e}"))
        }
        (None, Some(_)) => Err("variant needs architecture; add it".to_owned()),
    }
}

/// The time that `text`, the value of `key`, means; `now` is the current one.
pub(super) fn time_setting(key: &str, text: &str, now: Timestamp) -> Result<TimeSetting, String> {
    match text {
        "now" => Ok(TimeSetting::Now(now)),
        text => {
            let time = Timestamp::from_recipe(text);
            time.map(TimeSetting::At).map_err(|e| format!("{key}: {e}"))
        }
    }
}

/// The paths of `replace`, without slashes at either end.
pub(super) fn replace(paths: StringOrList) -> Result<Vec<Box<[u8]>>, String> {
    let image_path = |path: String| {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(format!(
                "replace: {} is not a path in the image; expected a path such as \"/bin\"",
                text::quote(&path)
            ));
        }
        Ok(parts.join("/").into_bytes().into_boxed_slice())
    };
    Vec::from(paths).into_iter().map(image_path).collect()
}

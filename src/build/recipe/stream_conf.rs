//! The configuration of nixpkgs' script `stream_layered_image`: a JSON file that describes an image
//! with its split into layers. It is read as a recipe.

use serde_json::{Map, Value, json};

use super::NIX_STORE;
use crate::layering::MAX_LAYERS;
use crate::text;

/// The fields that every such file has, and no recipe.
pub(in crate::build) const NAME: &str = "repo_tag";
pub(in crate::build) const LAYERS: &str = "store_layers";
/// The folder with the tar of the topmost layer, and its name there.
pub(in crate::build) const CUSTOMISATION: &str = "customisation_layer";
pub(in crate::build) const CUSTOMISATION_TAR: &str = "layer.tar";

/// Whether `document` is such a configuration.
pub(super) fn is_stream_conf(document: &Map<String, Value>) -> bool {
    document.contains_key(NAME) && document.contains_key(LAYERS)
}

/// The recipe that the configuration `conf` stands for.
pub(super) fn to_recipe(mut conf: Map<String, Value>) -> Result<Value, String> {
    let name = conf.remove(NAME).unwrap_or_default();
    let name = name.as_str().ok_or_else(|| format!("{NAME} must be a string"))?;
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => return Err(format!("{NAME} {} has no tag", text::quote(name))),
    };
    conf.insert("name".to_owned(), name.into());
    conf.insert("tag".to_owned(), tag.into());
    let layers = conf.remove(LAYERS).unwrap_or_default();
    let dir = conf.remove("store_dir").unwrap_or_else(|| NIX_STORE.into());
    conf.insert("store".to_owned(), json!({ "dir": dir, "layers": layers }));
    conf.insert("max_layers".to_owned(), MAX_LAYERS.into());
    conf.remove("os");
    if let Some(Value::String(folder)) = conf.remove(CUSTOMISATION) {
        let tar = format!("{folder}/{CUSTOMISATION_TAR}");
        conf.entry("contents").or_insert_with(|| json!([{ "layer": tar }]));
    }
    conf.retain(|_, value| !value.is_null());
    for key in ["uid", "gid"] {
        // nixpkgs writes numbers in both forms.
        if let Some(number) = conf.get(key).and_then(Value::as_str).map(str::parse::<u32>) {
            let number = number.map_err(|error| format!("{key}: {error}"))?;
            conf.insert(key.to_owned(), number.into());
        }
    }
    Ok(Value::Object(conf))
}

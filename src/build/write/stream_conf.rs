//! The configuration of nixpkgs' script `stream_layered_image`: a JSON file that describes an image
//! with its split into layers. It is written for a recipe.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::build::BuildError;
use crate::build::plan::Plan;
use crate::build::recipe::stream_conf::{CUSTOMISATION, CUSTOMISATION_TAR, LAYERS, NAME};
use crate::build::recipe::{ImageSource, NIX_STORE, RECIPE, Recipe};
use crate::image::{Location, Reference, inherit};
use crate::layering::Strategy;

/// Keys of a recipe that the fields of the file replace.
const REPLACED_KEYS: [&str; 8] =
    ["name", "tag", "tags", "store", "layering", "layeringPipeline", "max_layers", "maxLayers"];
/// The time of a build, as nixpkgs and recipes write it.
const NOW: &str = "now";
/// The beginning of a helper with a file of this host.
const CERTIFICATES: &str = "ca-certificates=";
/// Keys of entries of `contents` that are paths on the host, unless the entry has an image.
const CONTENT_PATHS: [&str; 3] = ["source", "tar", "layer"];
/// The key that lists fields of `config` to clear.
const CLEAR: &str = "clear";
/// The key of the image of an entry of `contents`.
const IMAGE: &str = "image";

/// Describes the image of `plan` as such a configuration. `document` is the text of its recipe, and
/// `reference` the image's reference. Paths in it are absolute.
///
/// Keys of the recipe that nixpkgs does not know stay as they are; seatrial reads them.
///
/// # Errors
/// If the recipe has a single layer, or `document` is not its text.
pub fn stream_conf(
    plan: &Plan,
    document: &str,
    reference: &Reference,
) -> Result<Value, BuildError> {
    let recipe = plan.recipe();
    let invalid = |problem: &str| BuildError::recipe(&recipe.path, problem);
    let mut conf = recipe.keys_in(document)?;
    if recipe.layering == Strategy::Single {
        return Err(invalid("a configuration for streaming has layers of store paths"));
    }
    REPLACED_KEYS.iter().for_each(|key| drop(conf.remove(*key)));
    let contents = ["contents", "copyToRoot", "copy_to_root"].into_iter();
    let contents = contents.filter_map(|key| conf.remove(key)).next().unwrap_or_default();
    let folder = recipe.path.parent().unwrap_or(Path::new(""));
    make_absolute(&mut conf, folder);
    insert_contents(&mut conf, &absolute_contents(contents, folder));
    let base = ["from_image", "fromImage"].into_iter().filter_map(|key| conf.remove(key)).next();
    let base = match base {
        Some(Value::String(image)) => absolute_image(&image, folder).into(),
        other => other.unwrap_or_default(),
    };
    conf.insert("from_image".to_owned(), base);
    insert_config(&mut conf, recipe)?;
    insert_plan(&mut conf, plan, reference);
    Ok(Value::Object(conf))
}

fn insert_contents(conf: &mut Map<String, Value>, contents: &[Value]) {
    let customisation = match contents {
        [only] => customisation(only),
        _ => None,
    };
    if customisation.is_none() && !contents.is_empty() {
        conf.insert("contents".to_owned(), contents.into());
    }
    conf.insert(CUSTOMISATION.to_owned(), customisation.into());
}

/// Adds the recipe's `config` with the values of an image, because nixpkgs copies them: durations
/// in nanoseconds, and variables as a list. Fields to clear are listed apart.
fn insert_config(conf: &mut Map<String, Value>, recipe: &Recipe) -> Result<(), BuildError> {
    let config = inherit::merge(&Map::new(), &recipe.config, &recipe.inherit)?;
    conf.insert("config".to_owned(), config.into());
    let cleared = recipe.config.iter().filter(|(_, value)| value.is_null());
    let cleared: Vec<&str> = cleared.map(|(name, _)| name.as_str()).collect();
    conf.remove(CLEAR);
    if !cleared.is_empty() {
        conf.insert(CLEAR.to_owned(), cleared.into());
    }
    Ok(())
}

/// Adds the results of planning.
fn insert_plan(conf: &mut Map<String, Value>, plan: &Plan, reference: &Reference) {
    let recipe = plan.recipe();
    let store_dir = recipe.store.as_ref().map_or(NIX_STORE, |store| store.dir.as_str());
    conf.insert("store_dir".to_owned(), store_dir.into());
    conf.insert(NAME.to_owned(), reference.to_string().into());
    conf.insert(LAYERS.to_owned(), store_layers(plan).into());
    conf.insert("architecture".to_owned(), plan.platform.arch.to_string().into());
    if let Some(variant) = &plan.platform.variant {
        conf.insert("variant".to_owned(), variant.as_str().into());
    }
    let owner = &recipe.owner;
    for (key, value) in [
        ("uid", json!(owner.uid)),
        ("gid", json!(owner.gid)),
        ("uname", json!(owner.uname)),
        ("gname", json!(owner.gname)),
    ] {
        conf.entry(key).or_insert(value);
    }
    // The forms of a recipe are more than those that nixpkgs reads.
    for (key, time) in [("created", plan.created), ("mtime", recipe.mtime.time())] {
        if conf.get(key).is_none_or(|written| written != NOW) {
            conf.insert(key.to_owned(), time.to_string().into());
        }
    }
}

/// Makes the paths of this host in `path`, `run` and `helpers` absolute.
fn make_absolute(conf: &mut Map<String, Value>, folder: &Path) {
    for entry in conf.get_mut("path").and_then(Value::as_array_mut).into_iter().flatten() {
        entry.get_mut("source").into_iter().for_each(|path| make_path_absolute(path, folder));
    }
    for step in conf.get_mut("run").and_then(Value::as_array_mut).into_iter().flatten() {
        let inputs = step.get_mut("inputs");
        for input in inputs.into_iter().flat_map(one_or_many) {
            let source = match input {
                Value::Object(table) => table.get_mut("source"),
                path => Some(path),
            };
            source.into_iter().for_each(|path| make_path_absolute(path, folder));
        }
    }
    for helper in conf.get_mut("helpers").into_iter().flat_map(one_or_many) {
        if let Some(file) = helper.as_str().and_then(|text| text.strip_prefix(CERTIFICATES)) {
            *helper = format!("{CERTIFICATES}{}", absolute(folder, Path::new(file))).into();
        }
    }
}

fn make_path_absolute(value: &mut Value, folder: &Path) {
    if let Value::String(path) = value {
        *path = absolute(folder, Path::new(&*path));
    }
}

/// The entries of a list, or the only one without a list.
fn one_or_many(value: &mut Value) -> &mut [Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_mut(value),
    }
}

/// The store paths of each new layer.
fn store_layers(plan: &Plan) -> Vec<Value> {
    let layers = plan.layers.iter().filter(|layer| !layer.paths.is_empty());
    layers.map(|layer| layer.paths.iter().map(|path| json!(path.as_str())).collect()).collect()
}

/// The folder of the layer that `content` is, if the file has the name that nixpkgs gives it.
fn customisation(content: &Value) -> Option<String> {
    let table = content.as_object().filter(|table| table.len() == 1)?;
    let folder = table.get("layer")?.as_str()?.strip_suffix(CUSTOMISATION_TAR)?;
    folder.strip_suffix('/').map(str::to_owned)
}

/// The entries of `contents` with absolute paths.
fn absolute_contents(contents: Value, folder: &Path) -> Vec<Value> {
    let entries = match contents {
        Value::Array(entries) => entries,
        Value::Null => Vec::new(),
        entry => vec![entry],
    };
    let absolute_entry = |entry| match entry {
        Value::String(path) => absolute(folder, Path::new(&path)).into(),
        Value::Object(mut table) if table.contains_key(IMAGE) => {
            if let Some(Value::String(image)) = table.get_mut(IMAGE) {
                *image = absolute_image(image, folder);
            }
            Value::Object(table)
        }
        Value::Object(mut table) => {
            for key in CONTENT_PATHS {
                table.get_mut(key).into_iter().for_each(|path| make_path_absolute(path, folder));
            }
            Value::Object(table)
        }
        entry => entry,
    };
    entries.into_iter().map(absolute_entry).collect()
}

/// The image that `text`, a text of the recipe, names, with an absolute path.
fn absolute_image(text: &str, folder: &Path) -> String {
    match ImageSource::parse(IMAGE, text, folder) {
        Ok(ImageSource::Recipe(path)) => format!("{RECIPE}{}", absolute(Path::new(""), &path)),
        Ok(ImageSource::Image(Location::Path(path))) => absolute(Path::new(""), &path),
        Ok(ImageSource::Image(Location::Registry(_))) | Err(_) => text.to_owned(),
        Ok(ImageSource::Image(location)) => {
            let current = std::env::current_dir().unwrap_or_default();
            location.in_folder(&current).to_string()
        }
    }
}

fn absolute(folder: &Path, path: &Path) -> String {
    let path = folder.join(path);
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}

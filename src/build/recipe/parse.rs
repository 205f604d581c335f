//! Reads recipes for one platform.

use std::path::Path;

use serde_json::{Map, Value};

use super::annotations::Annotations;
use super::files::{Accounts, ContentEntry, Helper, PathEntry};
use super::from_image::FromImage;
use super::image_source::ImageSource;
use super::misplaced::top_level_hint;
use super::run_settings::DockerToolsCommands;
use super::settings::{Settings, TimeText};
use super::store::{NIX_STORE, Store};
use super::values::{config, inherit, owner, platform, replace, tags, time_setting};
use super::{Recipe, TimeSetting};
use super::{files, run_settings};
use crate::archive::Limits;
use crate::build::BuildError;
use crate::document::{self, DocumentError, Problem, UnknownKey};
use crate::image::fields::FIELDS;
use crate::image::{Name, ReferenceError, Timestamp};
use crate::layering::Strategy;

/// The default of nixpkgs' dockerTools. It leaves room below Docker's limit for images that use
/// this one as their base.
const DEFAULT_MAX_LAYERS: usize = 100;

/// Parses a recipe for one platform, read at the time `now`.
pub(super) fn from_text(path: &Path, text: &str, now: Timestamp) -> Result<Recipe, BuildError> {
    let settings = settings(path, text)?;
    from_settings(path, settings, now).map_err(|problem| BuildError::recipe(path, problem))
}

/// Parses the keys of a recipe, with those of all its platforms, and checks their types.
pub(super) fn settings(path: &Path, text: &str) -> Result<Settings, BuildError> {
    let settings: Result<Settings, _> = document::parse(path, text);
    settings.map_err(|DocumentError { place, problem }| BuildError::Recipe {
        recipe: place,
        problem: match document::parse(path, text) {
            Ok(value) => with_place_of_key(problem, &value),
            Err(_) => problem.text,
        },
    })
}

/// Reads a recipe for one platform from `value`, a part of the document at `path` that was read at
/// the time `now`.
pub(super) fn from_value(path: &Path, value: Value, now: Timestamp) -> Result<Recipe, String> {
    let settings: Result<Settings, _> = document::from_value(value.clone());
    let settings = settings.map_err(|problem| with_place_of_key(problem, &value));
    settings.and_then(|settings| from_settings(path, settings, now))
}

/// The names that a Dockerfile has for fields of `config`.
const INSTRUCTIONS: [(&str, &str); 4] = [
    ("expose", "ExposedPorts"),
    ("label", "Labels"),
    ("volume", "Volumes"),
    ("workdir", "WorkingDir"),
];

/// Replaces the hint of a `problem` about an unknown key that belongs elsewhere in `recipe`: to its
/// top, or if it is there or at the top of a platform's table, to `config`.
fn with_place_of_key(problem: Problem, recipe: &Value) -> String {
    let Some(UnknownKey { name, has_similar }) = &problem.unknown_key else {
        return problem.text;
    };
    let key = name.as_str();
    if let Some(hint) = top_level_hint(key) {
        // A key of the table itself with a similar name is more likely.
        return match has_similar {
            true => problem.text,
            false => format!("unknown key \"{key}\"{hint}"),
        };
    }
    let tables = recipe.get("per_platform").and_then(Value::as_object);
    let mut tops = tables.into_iter().flat_map(Map::values).chain([recipe]);
    if !tops.any(|top| top.get(key).is_some()) {
        return problem.text;
    }
    let fields = FIELDS.iter().map(|field| (field.name, field.name));
    let field = fields.chain(INSTRUCTIONS).find(|(name, _)| name.eq_ignore_ascii_case(key));
    match field {
        Some((_, field)) => format!("unknown key \"{key}\"; did you mean config.{field}?"),
        None => problem.text,
    }
}

/// Checks settings and resolves their paths.
fn from_settings(path: &Path, mut settings: Settings, now: Timestamp) -> Result<Recipe, String> {
    if settings.platforms.is_some() || settings.per_platform.is_some() {
        return Err("a table of per_platform cannot contain platforms or per_platform".to_owned());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let owner = owner(&settings)?;
    let commands = DockerToolsCommands {
        run_as_root: settings.run_as_root.take(),
        extra_commands: settings.extra_commands.take(),
        fake_root_commands: settings.fake_root_commands.take(),
        enable_fakechroot: settings.enable_fakechroot.unwrap_or(false),
    };
    let run = settings.run.take().unwrap_or_default();
    let steps = run_settings::steps(run.into(), commands, folder)?;
    let include = settings.store.as_ref().and_then(|store| store.include);
    let xattrs = settings.xattrs.unwrap_or_default();
    let content = |entry| ContentEntry::new(entry, folder, xattrs);
    let contents = settings.contents.unwrap_or_default().0.into_iter().map(content);
    let single_path = |entry| PathEntry::new(entry, folder);
    let paths = Vec::from(settings.path.unwrap_or_default()).into_iter().map(single_path);
    let helpers = Vec::from(settings.helpers.unwrap_or_default());
    let helpers = helpers.iter().map(|text| Helper::new(text, folder));
    let time = |key, text: Option<TimeText>| text.map(|text| time_setting(key, &text.0, now));
    let created = time("created", settings.created).transpose()?;
    let mtime = time("mtime", settings.mtime).transpose()?;
    let from_image = settings.from_image.map(|image| image.resolve(folder)).transpose()?;
    let (from_image, base_platform) = match from_image {
        Some(FromImage { source, platform }) => (Some(source), platform),
        None => (None, None),
    };
    if matches!(from_image, Some(ImageSource::Recipe(_))) {
        for (key, value) in [
            ("from_image_name", &settings.from_image_name),
            ("from_image_tag", &settings.from_image_tag),
        ] {
            if value.is_some() {
                return Err(format!("{key} selects an image in a file; a recipe makes only one"));
            }
        }
    }
    let store = settings.store.map(|store| Store::new(store, folder)).transpose()?;
    let store_dir = store.as_ref().map_or(NIX_STORE, |store| store.dir.as_str());
    let package_layers = settings.package_layers.unwrap_or(false);
    let is_outside_nix = store_dir != NIX_STORE || (store.is_none() && package_layers);
    let layering_file = settings.layering.as_ref().and_then(|setting| setting.file(folder));
    let layers = files::named_layers(settings.layer.unwrap_or_default().into(), store_dir)?;
    let name: Name = settings.name.parse().map_err(|error: ReferenceError| error.to_string())?;
    Ok(Recipe {
        path: path.to_owned(),
        own_name: name.clone(),
        name,
        tags: tags(settings.tag, settings.tags)?,
        layering: match settings.layering {
            Some(setting) => setting.strategy(folder)?,
            // Nix' tools have no balanced layers.
            None if is_outside_nix => Strategy::Balanced,
            None => Strategy::Popularity,
        },
        layering_file,
        layers,
        package_layers,
        from_image,
        from_image_name: settings.from_image_name,
        from_image_tag: settings.from_image_tag,
        contents: contents.collect::<Result<_, _>>()?,
        on_conflict: settings.on_conflict.unwrap_or_default(),
        paths: paths.collect::<Result<_, _>>()?,
        accounts: settings.accounts.map(Accounts::new).transpose()?,
        helpers: helpers.collect::<Result<_, _>>()?,
        replace: replace(settings.replace.unwrap_or_default())?,
        platform: platform(settings.architecture, settings.variant)?.or(base_platform),
        platforms: Vec::new(),
        created,
        mtime: mtime.unwrap_or(TimeSetting::At(Timestamp::DEFAULT)),
        owner,
        max_layers: settings.max_layers.unwrap_or(DEFAULT_MAX_LAYERS),
        keep_contents_dirlinks: settings.keep_contents_dirlinks.unwrap_or(false),
        include_store_paths: include.or(settings.include_store_paths).unwrap_or(true),
        store,
        annotations: Annotations::new(settings.annotations, settings.annotations_from_labels)?,
        config: config(settings.config.unwrap_or_default(), settings.clear.unwrap_or_default())?,
        inherit: inherit(settings.inherit)?,
        steps,
        limits: Limits::default(),
        #[cfg(feature = "registry")]
        registries: None,
        #[cfg(feature = "registry")]
        lock_use: crate::build::LockUse::default(),
    })
}

//! The recipe: the description of an image, checked, with resolved paths.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::BuildError;
use super::annotations::Annotations;
use super::files::{self, Accounts, ConflictRule, ContentEntry, Helper, NamedLayer, PathEntry};
use super::from_image::FromImage;
use super::host_store::HostStore;
use super::run_settings::{self, DockerToolsCommands};
use super::settings::{Settings, StoreSettings, StringOrList, TimeText};
use crate::archive::{Attributes, Limits};
use crate::closure::{StoreDir, StorePath};
use crate::document::{self, DocumentError};
use crate::image::fields;
use crate::image::{Inherit, Location, Name, Platform, Reference, Tag, Timestamp};
use crate::layering::Strategy;
#[cfg(feature = "registry")]
use crate::registry::Registries;
use crate::steps::Step;
use crate::text;

/// A date in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSetting {
    /// The time at which the recipe was read, so that it is the same for all files and platforms.
    Now(Timestamp),
    /// A fixed time.
    At(Timestamp),
}

/// The source of store paths.
#[derive(Clone, Debug)]
pub struct Store {
    /// The store's path in the image.
    pub dir: StoreDir,
    /// The folder on the host that holds the store.
    pub source: PathBuf,
    /// The file with the reference graph.
    pub closure: Option<PathBuf>,
    /// The store paths of each layer, instead of a reference graph.
    pub layers: Option<Vec<Vec<StorePath>>>,
    /// Store paths whose closure belongs in the image, although they are not contents.
    pub roots: Vec<StorePath>,
    /// Store paths that stay out of the image; what they refer to does not.
    pub exclude: Vec<StorePath>,
}

impl Store {
    /// Where the store is on this host.
    pub(super) fn on_host(&self) -> HostStore<'_> {
        HostStore { dir: &self.dir, source: &self.source }
    }
}

/// The description of an image for one platform. All paths are absolute or relative to the working
/// directory.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The recipe's file, for messages.
    pub path: PathBuf,
    /// The repository name.
    pub name: Name,
    /// The tags, the main one first; if there are none, one is derived from the inputs.
    pub tags: Vec<Tag>,
    /// How files are split into layers.
    pub layering: Strategy,
    /// Layers for files and store paths that the recipe names, lowest first.
    pub layers: Vec<NamedLayer>,
    /// Whether the packages in the contents are split into layers like store paths.
    pub package_layers: bool,
    /// The base image.
    pub from_image: Option<Location>,
    /// The name of the base image, if its file holds several.
    pub from_image_name: Option<String>,
    /// The tag of the base image, if its file holds several.
    pub from_image_tag: Option<String>,
    /// The files, folders, store paths, tars and layers to put into the image.
    pub contents: Vec<ContentEntry>,
    /// The rule for two contents that have a file at the same path.
    pub on_conflict: ConflictRule,
    /// Single paths that are made, changed or removed after the contents are placed.
    pub paths: Vec<PathEntry>,
    /// Users and groups of the image.
    pub accounts: Option<Accounts>,
    /// Files that programs expect.
    pub helpers: Vec<Helper>,
    /// Paths where contents may replace what the base has, without slashes at either end.
    pub replace: Vec<Box<[u8]>>,
    /// The platform; if not given, it is the base's, which must then be the host's.
    pub platform: Option<Platform>,
    /// The creation date.
    pub created: Option<TimeSetting>,
    /// The modification time of every file.
    pub mtime: TimeSetting,
    /// The owner of every file; its `mtime` is not used.
    pub owner: Attributes,
    /// The maximum number of layers, base included.
    pub max_layers: usize,
    /// Whether symlinks to directories stay symlinks in a single layer.
    pub keep_contents_dirlinks: bool,
    /// Whether store paths go into the image.
    pub include_store_paths: bool,
    /// The store.
    pub store: Option<Store>,
    /// The annotations of its manifest.
    pub annotations: Annotations,
    /// The image's `config`, checked; null clears a field.
    pub config: Map<String, Value>,
    /// The fields of the base's `config` to inherit, in addition to the environment.
    pub inherit: Inherit,
    /// The steps: commands that change the image, in order. Their environment lacks the image's.
    pub steps: Vec<Step>,
    /// The limits within which the base image is read; not part of the recipe file.
    pub limits: Limits,
    /// How a base image in a registry is reached, if not in the usual way; not part of the recipe
    /// file.
    #[cfg(feature = "registry")]
    pub registries: Option<Registries>,
}

/// The default of nixpkgs' dockerTools. It leaves room below Docker's limit for images that use
/// this one as their base.
const DEFAULT_MAX_LAYERS: usize = 100;
/// The path of the Nix store.
pub(crate) const NIX_STORE: &str = "/nix/store";
/// The size of the user and group name fields of a tar header, without the NUL at the end.
const OWNER_NAME_MAX: usize = 31;

impl Recipe {
    /// Whether it makes files in addition to its contents.
    pub(super) fn makes_files(&self) -> bool {
        !self.paths.is_empty() || self.accounts.is_some() || !self.helpers.is_empty()
    }

    /// The attributes of the image's files: the recipe's owner and modification time.
    pub fn attributes(&self) -> Attributes {
        Attributes { mtime: self.mtime.time(), ..self.owner.clone() }
    }

    /// The image's references, one for each tag that the recipe has.
    pub fn references(&self) -> Vec<Reference> {
        let reference = |tag: &Tag| Reference { name: self.name.clone(), tag: tag.clone() };
        self.tags.iter().map(reference).collect()
    }
}

impl TimeSetting {
    /// The time.
    pub fn time(self) -> Timestamp {
        match self {
            Self::At(time) | Self::Now(time) => time,
        }
    }
}

/// The current time.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Timestamp::from_seconds(seconds).unwrap_or(Timestamp::DEFAULT)
}

/// Parses a recipe for one platform, read at the time `now`.
pub(super) fn from_text(path: &Path, text: &str, now: Timestamp) -> Result<Recipe, BuildError> {
    let settings: Result<Settings, _> = document::parse(path, text);
    let settings = settings.map_err(|DocumentError { place, problem }| BuildError::Recipe {
        recipe: place,
        problem,
    })?;
    from_settings(path, settings, now).map_err(|problem| BuildError::recipe(path, problem))
}

/// Reads a recipe for one platform from `value`, a part of the document at `path` that was read at
/// the time `now`.
pub(super) fn from_value(path: &Path, value: Value, now: Timestamp) -> Result<Recipe, BuildError> {
    let settings: Result<Settings, _> = document::from_value(value);
    let recipe = settings.and_then(|settings| from_settings(path, settings, now));
    recipe.map_err(|problem| BuildError::recipe(path, problem))
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
    let steps = run_settings::steps(settings.run.take(), commands, folder)?;
    let include = settings.store.as_ref().and_then(|store| store.include);
    let xattrs = settings.xattrs.unwrap_or_default();
    let content = |entry| ContentEntry::new(entry, folder, xattrs);
    let contents = settings.contents.unwrap_or_default().0.into_iter().map(content);
    let single_path = |entry| PathEntry::new(entry, folder);
    let paths = settings.path.unwrap_or_default().into_iter().map(single_path);
    let helpers = Vec::from(settings.helpers.unwrap_or_default());
    let helpers = helpers.iter().map(|text| Helper::new(text, folder));
    let time = |key, text: Option<TimeText>| text.map(|text| time_setting(key, &text.0, now));
    let created = time("created", settings.created).transpose()?;
    let mtime = time("mtime", settings.mtime).transpose()?;
    let from_image = settings.from_image.map(|image| image.resolve(folder)).transpose()?;
    let (from_image, base_platform) = match from_image {
        Some(FromImage { location, platform }) => (Some(location), platform),
        None => (None, None),
    };
    let store = settings.store.map(|store| self::store(store, folder)).transpose()?;
    let store_dir = store.as_ref().map_or(NIX_STORE, |store| store.dir.as_str());
    let layers = files::named_layers(settings.layer.unwrap_or_default(), store_dir)?;
    Ok(Recipe {
        path: path.to_owned(),
        name: settings.name.parse().map_err(to_text)?,
        tags: tags(settings.tag, settings.tags)?,
        layering: match settings.layering {
            Some(setting) => setting.strategy(folder)?,
            None => Strategy::default(),
        },
        layers,
        package_layers: settings.package_layers.unwrap_or(false),
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
    })
}

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The tags of `tag` or `tags`.
fn tags(tag: Option<String>, tags: Option<StringOrList>) -> Result<Vec<Tag>, String> {
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
        let tag: Tag = tag.parse().map_err(to_text)?;
        if parsed.contains(&tag) {
            return Err(format!("tags lists {tag} twice"));
        }
        parsed.push(tag);
    }
    Ok(parsed)
}

fn owner(settings: &Settings) -> Result<Attributes, String> {
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

/// The checked `config`, with a null for every field in `clear`.
fn config(
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
    fields::check(&config).map_err(to_text)?;
    Ok(config)
}

fn inherit(names: Option<StringOrList>) -> Result<Inherit, String> {
    match names.map(Vec::from) {
        None => Ok(Inherit::Nothing),
        Some(names) if names == ["none"] => Ok(Inherit::Nothing),
        Some(names) if names == ["all"] => Ok(Inherit::All),
        Some(names) => Inherit::fields(names)
            .map_err(|e| format!("inherit: {e}; \"all\" and \"none\" are valid too")),
    }
}

fn platform(
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

fn time_setting(key: &str, text: &str, now: Timestamp) -> Result<TimeSetting, String> {
    match text {
        "now" => Ok(TimeSetting::Now(now)),
        text => {
            let time = Timestamp::from_recipe(text);
            time.map(TimeSetting::At).map_err(|e| format!("{key}: {e}"))
        }
    }
}

/// The paths of `replace`, without slashes at either end.
fn replace(paths: StringOrList) -> Result<Vec<Box<[u8]>>, String> {
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

fn store(settings: StoreSettings, folder: &Path) -> Result<Store, String> {
    let dir = settings.dir.as_deref().unwrap_or(NIX_STORE);
    let dir = StoreDir::new(dir).map_err(|dir| {
        format!(
            "store.dir {} must be an absolute path without '.' and '..': the store's path in \
             the image; if the store is elsewhere on this host, set store.source",
            text::quote(&dir)
        )
    })?;
    let source =
        settings.source.map_or_else(|| PathBuf::from(dir.as_str()), |source| folder.join(source));
    let closure = settings.closure.map(|closure| folder.join(closure));
    let layer = |paths| store_paths("store.layers", Some(paths), &dir);
    let layers = settings.layers.map(|layers| layers.into_iter().map(layer).collect());
    let layers: Option<Vec<Vec<StorePath>>> = layers.transpose()?;
    if layers.is_some() && closure.is_some() {
        return Err("store.layers and store.closure exclude each other; remove one".to_owned());
    }
    let roots = store_paths("store.roots", settings.roots, &dir)?;
    let exclude = store_paths("store.exclude", settings.exclude, &dir)?;
    Ok(Store { dir, source, closure, layers, roots, exclude })
}

/// The store paths that `paths` are or lead into.
fn store_paths(
    key: &str,
    paths: Option<StringOrList>,
    dir: &StoreDir,
) -> Result<Vec<StorePath>, String> {
    let store_path = |path: String| {
        dir.split(&path).map(|(path, _)| path).ok_or_else(|| {
            let dir = dir.as_str();
            format!("{key}: {} is not in the store {dir}; expected {dir}/NAME", text::quote(&path))
        })
    };
    Vec::from(paths.unwrap_or_default()).into_iter().map(store_path).collect()
}

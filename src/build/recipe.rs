//! The recipe: what an image is made of, checked and with its paths resolved.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::BuildError;
use super::settings::Settings;
use crate::archive::Attributes;
use crate::closure::StoreDir;
use crate::image::fields;
use crate::image::{Inherit, Name, Platform, Tag, Timestamp};
use crate::layering::Strategy;

/// What a recipe says of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The time of the build.
    Now,
    /// This time.
    At(Timestamp),
}

/// Where store paths come from.
#[derive(Clone, Debug)]
pub struct Store {
    /// The store's place in the image.
    pub dir: StoreDir,
    /// The folder on this machine that holds it.
    pub source: PathBuf,
    /// The file with the reference graph.
    pub closure: Option<PathBuf>,
}

/// An image to be built. All paths are absolute or relative to the working directory.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Where the recipe was read, for messages.
    pub path: PathBuf,
    /// The repository.
    pub name: Name,
    /// The tag; derived from the inputs where not given.
    pub tag: Option<Tag>,
    /// How files are split into layers.
    pub layering: Strategy,
    /// The base image.
    pub from_image: Option<PathBuf>,
    /// The name of the base image among several.
    pub from_image_name: Option<String>,
    /// The tag of the base image among several.
    pub from_image_tag: Option<String>,
    /// What appears at `/`.
    pub contents: Vec<PathBuf>,
    /// Where the base may be replaced, without slashes at either end.
    pub replace: Vec<Box<[u8]>>,
    /// The platform, where given; else the host's, which must then be the base's.
    pub platform: Option<Platform>,
    /// When the image was made, where given.
    pub created: Option<When>,
    /// The modification time of every file.
    pub mtime: When,
    /// The owner of every file; the time within is not used.
    pub owner: Attributes,
    /// The most layers the image may have.
    pub max_layers: usize,
    /// In a single layer: whether symlinks to directories stay symlinks.
    pub keep_contents_dirlinks: bool,
    /// Whether store paths go into the image.
    pub include_store_paths: bool,
    /// The store, where there is one.
    pub store: Option<Store>,
    /// The image's `config`, checked; null clears a field.
    pub config: Map<String, Value>,
    /// What is inherited of the base's `config` besides the environment.
    pub inherit: Inherit,
}

/// nixpkgs' default, which leaves some room below Docker's limit for images built upon the image.
const MAX_LAYERS: usize = 100;
/// Where Nix has its store.
pub(crate) const NIX_STORE: &str = "/nix/store";
/// The size of the user and group name fields of a tar header, less a closing NUL.
const OWNER_NAME_MAX: usize = 31;

impl Recipe {
    /// Reads the recipe at `path`: TOML, or JSON when the name ends in `.json` or the text begins with `{`.
    ///
    /// # Errors
    /// When it cannot be read, is malformed, has unknown keys, or says something that no image can be.
    pub fn read(path: &Path) -> Result<Self, BuildError> {
        let text =
            std::fs::read_to_string(path).map_err(crate::archive::ArchiveError::read(path))?;
        Self::parse(path, &text)
    }

    /// Reads the recipe `text`, whose relative paths are relative to the folder of `path`.
    ///
    /// If the recipe has `platforms`, the result is the recipe for the host's.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, BuildError> {
        Self::parse_for(path, text, Platform::host().arch)
    }

    pub(super) fn parse_one(path: &Path, text: &str) -> Result<Self, BuildError> {
        let settings: Result<Settings, _> = crate::document::parse(path, text);
        let settings = settings.map_err(|(line, problem)| BuildError::Recipe {
            recipe: line.map_or_else(|| shown(path), |line| format!("{}:{line}", shown(path))),
            problem,
        })?;
        check(path, settings).map_err(|problem| BuildError::Recipe { recipe: shown(path), problem })
    }

    /// The layers' attributes: the recipe's owner and modification time.
    pub fn attributes(&self) -> Attributes {
        Attributes { mtime: self.mtime.time(), ..self.owner.clone() }
    }
}

impl When {
    /// The time itself.
    pub fn time(self) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Now => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
                Timestamp::from_seconds(seconds).unwrap_or(Timestamp::DEFAULT)
            }
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The recipe that `value` describes, which is said to be from `path`.
pub(super) fn from_value(path: &Path, value: Value) -> Result<Recipe, BuildError> {
    let settings: Result<Settings, _> = crate::document::from_value(value);
    let settings = settings.and_then(|settings| check(path, settings));
    settings.map_err(|problem| BuildError::Recipe { recipe: shown(path), problem })
}

/// Turns what was written into what it means.
fn check(path: &Path, settings: Settings) -> Result<Recipe, String> {
    if settings.platforms.is_some() || settings.per_platform.is_some() {
        return Err("a table of per_platform cannot contain platforms or per_platform".to_owned());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let within = |relative: &str| folder.join(relative);
    let config = config(settings.config.unwrap_or_default(), settings.clear.map(Vec::from))?;
    let owner_name = |key: &str, name: Option<String>| match name {
        Some(name) if name.len() > OWNER_NAME_MAX || name.contains('\0') => {
            Err(format!("{key} {name:?} is longer than {OWNER_NAME_MAX} bytes or holds a NUL"))
        }
        name => Ok(name.unwrap_or_else(|| "root".to_owned())),
    };
    let include = settings.store.as_ref().and_then(|store| store.include);
    Ok(Recipe {
        path: path.to_owned(),
        name: settings.name.parse().map_err(text)?,
        tag: settings.tag.map(|tag| tag.parse().map_err(text)).transpose()?,
        layering: settings.layering.unwrap_or_default(),
        from_image: settings.from_image.as_deref().map(within),
        from_image_name: settings.from_image_name,
        from_image_tag: settings.from_image_tag,
        contents: settings
            .contents
            .map(Vec::from)
            .unwrap_or_default()
            .iter()
            .map(|c| within(c))
            .collect(),
        replace: replace(settings.replace.map(Vec::from).unwrap_or_default())?,
        platform: platform(settings.architecture, settings.variant)?,
        created: settings.created.map(|when| self::when("created", &when)).transpose()?,
        mtime: settings
            .mtime
            .map_or(Ok(When::At(Timestamp::DEFAULT)), |when| self::when("mtime", &when))?,
        owner: Attributes {
            uid: settings.uid.unwrap_or(0).into(),
            gid: settings.gid.unwrap_or(0).into(),
            uname: owner_name("uname", settings.uname)?,
            gname: owner_name("gname", settings.gname)?,
            mtime: Timestamp::DEFAULT,
        },
        max_layers: settings.max_layers.unwrap_or(MAX_LAYERS),
        keep_contents_dirlinks: settings.keep_contents_dirlinks.unwrap_or(false),
        include_store_paths: include.or(settings.include_store_paths).unwrap_or(true),
        store: settings.store.map(|store| self::store(store, folder)).transpose()?,
        config,
        inherit: match settings.inherit.map(Vec::from) {
            None => Inherit::Nothing,
            Some(names) if names == ["none"] => Inherit::Nothing,
            Some(names) if names == ["all"] => Inherit::All,
            Some(names) => Inherit::fields(names)
                .map_err(|e| format!("inherit: {e}, or \"all\" or \"none\""))?,
        },
    })
}

/// The checked `config`, with a null for every field that `clear` names.
fn config(
    mut config: Map<String, Value>,
    clear: Option<Vec<String>>,
) -> Result<Map<String, Value>, String> {
    for name in clear.unwrap_or_default() {
        fields::find(&name).map_err(|e| format!("clear: {e}"))?;
        if config.insert(name.clone(), Value::Null).is_some_and(|value| !value.is_null()) {
            return Err(format!("clear names {name:?}, which config sets; leave one of them out"));
        }
    }
    fields::check(&config).map_err(text)?;
    Ok(config)
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
        (None, Some(_)) => Err("variant needs architecture beside it".to_owned()),
    }
}

fn when(key: &str, text: &str) -> Result<When, String> {
    match text {
        "now" => Ok(When::Now),
        text => text.parse().map(When::At).map_err(|e| format!("{key}: {e}")),
    }
}

fn replace(paths: Vec<String>) -> Result<Vec<Box<[u8]>>, String> {
    let inner = |path: String| {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(format!(
                "replace: {path:?} is no path in the image; write it like \"/bin\""
            ));
        }
        Ok(parts.join("/").into_bytes().into_boxed_slice())
    };
    paths.into_iter().map(inner).collect()
}

fn store(settings: super::settings::Store, folder: &Path) -> Result<Store, String> {
    let dir = settings.dir.as_deref().unwrap_or(NIX_STORE);
    let dir = StoreDir::new(dir).map_err(|dir| {
        format!(
            "store.dir {dir:?} must be an absolute path without '.' and '..', the store's place in the image; \
             where it lies elsewhere on this machine, say so with store.source"
        )
    })?;
    let source =
        settings.source.map_or_else(|| PathBuf::from(dir.as_str()), |source| folder.join(source));
    let closure = settings.closure.map(|closure| folder.join(closure));
    Ok(Store { dir, source, closure })
}

//! Reads recipes. A recipe with several `platforms` becomes a recipe for each of them, made of the
//! shared keys and the platform's own keys.

use std::path::Path;
use std::slice;

use serde_json::{Map, Value};

use super::overrides::Overrides;
use super::per_platform::{ONE_PLATFORM_KEYS, PER_PLATFORM, PLATFORMS, PlatformKeys};
use super::{Recipe, now, parse, stream_conf};
use crate::archive::ArchiveError;
use crate::build::BuildError;
use crate::document;
use crate::image::Platform;
use crate::text;

impl Recipe {
    /// Reads the recipe at `path`: TOML, or JSON if the file's name ends in `.json` or the text
    /// begins with `{`. If it has several `platforms`, the result is the recipe for the host's.
    ///
    /// # Errors
    /// If it cannot be read, is malformed, has unknown keys, or describes an impossible image.
    pub fn read(path: &Path) -> Result<Self, BuildError> {
        Self::read_for(path, &Platform::host())
    }

    /// Parses `text` like [`read`](Self::read). Relative paths are relative to the folder of
    /// `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, BuildError> {
        Self::parse_for(path, text, &Platform::host(), &Overrides::default())
    }

    /// Reads the recipe at `path`: one recipe for each of its `platforms`, or a single one.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_all(path: &Path) -> Result<Vec<Self>, BuildError> {
        let text = document::read(path, document::MAX_SIZE).map_err(ArchiveError::read(path))?;
        Self::parse_all(path, &text, &Overrides::default())
    }

    /// Parses `text` like [`read_all`](Self::read_all), and applies `overrides`; `path` is where
    /// the text is from.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse_all(
        path: &Path,
        text: &str,
        overrides: &Overrides,
    ) -> Result<Vec<Self>, BuildError> {
        let recipes = Self::parse_platforms(path, text, !overrides.tags.is_empty())?;
        Ok(recipes.into_iter().map(|recipe| overrides.apply(recipe)).collect())
    }

    /// Parses a recipe, which needs no tag of its own if `has_tag` is true.
    fn parse_platforms(path: &Path, text: &str, has_tag: bool) -> Result<Vec<Self>, BuildError> {
        let now = now();
        // `from_text` reports problems of the text itself better: it knows the line.
        let Ok(Value::Object(mut shared)) = document::parse(path, text) else {
            return Ok(vec![parse::from_text(path, text, now)?]);
        };
        let error = |problem: String| BuildError::recipe(path, problem);
        if stream_conf::is_stream_conf(&shared) {
            let value = stream_conf::to_recipe(shared).map_err(error)?;
            return Ok(vec![parse::from_value(path, value, now).map_err(error)?]);
        }
        let per_platform = shared.remove(PER_PLATFORM);
        let Some(platforms) = shared.remove(PLATFORMS) else {
            return match per_platform {
                Some(_) => Err(error(format!("{PER_PLATFORM} needs a list of {PLATFORMS}"))),
                None => Ok(vec![parse::from_text(path, text, now)?]),
            };
        };
        // Later errors know no line.
        parse::settings(path, text)?;
        let platforms = platform_names(platforms).map_err(error)?;
        check_shared_keys(&shared, has_tag).map_err(error)?;
        let keys = PlatformKeys::new(shared, per_platform, &platforms).map_err(error)?;
        let read = |name: &String| keys.recipe(path, name, now).map_err(error);
        let mut recipes = platforms.iter().map(read).collect::<Result<Vec<Self>, _>>()?;
        let all: Vec<Platform> = recipes.iter().filter_map(|one| one.platform.clone()).collect();
        recipes.iter_mut().for_each(|recipe| recipe.platforms.clone_from(&all));
        Ok(recipes)
    }

    /// Reads the recipe at `path`; if it has several `platforms`, the recipe for `platform`.
    ///
    /// # Errors
    /// As [`read`](Self::read), or if there are several platforms and none is for `platform`.
    pub fn read_for(path: &Path, platform: &Platform) -> Result<Self, BuildError> {
        Self::for_platform(Self::read_all(path)?, platform)
    }

    /// Parses `text` like [`read_for`](Self::read_for), and applies `overrides`; `path` is where
    /// the text is from.
    ///
    /// # Errors
    /// As [`read_for`](Self::read_for).
    pub fn parse_for(
        path: &Path,
        text: &str,
        platform: &Platform,
        overrides: &Overrides,
    ) -> Result<Self, BuildError> {
        Self::for_platform(Self::parse_all(path, text, overrides)?, platform)
    }

    /// Reads the recipe at `path` for `platform`, which a user selected.
    ///
    /// # Errors
    /// As [`read`](Self::read), or if the recipe is for other platforms.
    pub(crate) fn read_selected(path: &Path, platform: &Platform) -> Result<Self, BuildError> {
        Self::selected(Self::read_all(path)?, platform)
    }

    /// Parses `text` like [`read_selected`](Self::read_selected), and applies `overrides`.
    ///
    /// # Errors
    /// As [`read_selected`](Self::read_selected).
    pub(crate) fn parse_selected(
        path: &Path,
        text: &str,
        platform: &Platform,
        overrides: &Overrides,
    ) -> Result<Self, BuildError> {
        Self::selected(Self::parse_all(path, text, overrides)?, platform)
    }

    fn selected(recipes: Vec<Self>, platform: &Platform) -> Result<Self, BuildError> {
        Self::for_platform(Self::select(recipes, slice::from_ref(platform))?, platform)
    }

    /// Selects the `requested` ones of `recipes`, which are those of one file for all platforms, or
    /// all if none is requested. A recipe without a platform gets the requested one.
    ///
    /// # Errors
    /// If there is no image for a requested platform.
    pub(crate) fn select(
        recipes: Vec<Self>,
        requested: &[Platform],
    ) -> Result<Vec<Self>, BuildError> {
        if requested.is_empty() {
            return Ok(recipes);
        }
        if recipes.iter().all(|recipe| recipe.platforms.is_empty()) {
            return recipes.into_iter().map(|recipe| recipe.with_platform(requested)).collect();
        }
        let has = |wanted: &&Platform| !recipes.iter().any(|recipe| recipe.is_for(wanted));
        if let (Some(missing), Some(first)) = (requested.iter().find(has), recipes.first()) {
            let all = text::list(first.platforms.iter().map(ToString::to_string));
            let problem = format!("there is no image for {missing}; its {PLATFORMS} are {all}");
            return Err(BuildError::recipe(&first.path, problem));
        }
        let is_requested = |recipe: &Self| requested.iter().any(|wanted| recipe.is_for(wanted));
        Ok(recipes.into_iter().filter(is_requested).collect())
    }

    /// Sets the platform of a recipe without `platforms` to the only one of `requested`.
    fn with_platform(self, requested: &[Platform]) -> Result<Self, BuildError> {
        let mut distinct: Vec<&Platform> = Vec::new();
        for platform in requested {
            if !distinct.contains(&platform) {
                distinct.push(platform);
            }
        }
        let several = || {
            let all = distinct.iter().map(|wanted| format!("\"{wanted}\""));
            format!("{PLATFORMS} = [{}]", all.collect::<Vec<_>>().join(", "))
        };
        let problem = match (&self.platform, distinct.as_slice()) {
            (None, [wanted]) => {
                return Ok(Self { platform: Some(Platform::clone(wanted)), ..self });
            }
            (None, _) => format!("the recipe has one image; write {} in it for several", several()),
            (Some(own), _) => {
                let Some(wanted) = distinct.iter().find(|wanted| !self.is_for(wanted)) else {
                    return Ok(self);
                };
                let hint = match distinct.len() {
                    1 => "change or remove the recipe's architecture".to_owned(),
                    _ => format!("for several, replace the recipe's architecture by {}", several()),
                };
                format!("the image is for {own}, not for {wanted}; {hint}")
            }
        };
        Err(BuildError::recipe(&self.path, problem))
    }

    /// The keys of the recipe in `text`, the document that it was read from. Those for its platform
    /// are merged with those for all.
    ///
    /// # Errors
    /// If `text` is another document.
    pub(in crate::build) fn keys_in(&self, text: &str) -> Result<Map<String, Value>, BuildError> {
        let error = |problem: String| BuildError::recipe(&self.path, problem);
        let Ok(Value::Object(mut keys)) = document::parse(&self.path, text) else {
            return Err(error("not a recipe".to_owned()));
        };
        let per_platform = keys.remove(PER_PLATFORM);
        let Some(platforms) = keys.remove(PLATFORMS) else { return Ok(keys) };
        let platforms = platform_names(platforms).map_err(error)?;
        let is_own = |name: &&String| name.parse().ok() == self.platform;
        let own = platforms.iter().find(is_own);
        let own = own.ok_or_else(|| error(format!("its {PLATFORMS} lack that of the image")))?;
        let keys = PlatformKeys::new(keys, per_platform, &platforms);
        keys.and_then(|keys| keys.keys(own)).map_err(error)
    }

    /// Whether its platform is `wanted`, perhaps written in another way.
    fn is_for(&self, wanted: &Platform) -> bool {
        let own = self.platform.as_ref();
        own.is_some_and(|own| wanted.rank_of(own.arch, own.variant.as_deref()) == Some(0))
    }

    /// Selects the recipe for `platform`, or the only one. Among variants of its architecture, the
    /// nearest lower one is preferred.
    fn for_platform(mut recipes: Vec<Self>, platform: &Platform) -> Result<Self, BuildError> {
        let rank = |recipe: &Self| {
            let own = recipe.platform.as_ref().filter(|own| own.arch == platform.arch)?;
            Some(platform.rank_of(own.arch, own.variant.as_deref()).unwrap_or(u32::MAX))
        };
        let ranks = recipes.iter().map(rank).enumerate();
        let best = ranks.filter_map(|(index, rank)| Some((rank?, index))).min();
        let only = (recipes.len() == 1).then_some(0);
        match only.or(best.map(|(_, index)| index)) {
            Some(index) => Ok(recipes.swap_remove(index)),
            None => {
                let path = recipes.first().map_or(Path::new(""), |recipe| &recipe.path);
                Err(BuildError::recipe(path, format!("none of its {PLATFORMS} is for {platform}")))
            }
        }
    }
}

/// The entries of `platforms`, checked.
fn platform_names(list: Value) -> Result<Vec<String>, String> {
    let names: Vec<String> = serde_json::from_value(list).unwrap_or_default();
    if names.is_empty() {
        return Err(format!(
            "{PLATFORMS} must be a list such as [\"linux/amd64\", \"linux/arm64\"]"
        ));
    }
    let mut seen: Vec<Platform> = Vec::new();
    for name in &names {
        let platform =
            Platform::from_specifier(name).map_err(|error| format!("{PLATFORMS}: {error}"))?;
        if seen.contains(&platform) {
            return Err(format!("{PLATFORMS} lists {platform} twice"));
        }
        seen.push(platform);
    }
    Ok(names)
}

fn check_shared_keys(shared: &Map<String, Value>, has_tag: bool) -> Result<(), String> {
    if let Some(key) = ONE_PLATFORM_KEYS.into_iter().find(|key| shared.contains_key(*key)) {
        return Err(format!("{PLATFORMS} and {key} exclude each other; remove one of them"));
    }
    if !has_tag && !shared.contains_key("tag") && !shared.contains_key("tags") {
        return Err(format!("a recipe with {PLATFORMS} needs a tag, the same for all of them"));
    }
    Ok(())
}

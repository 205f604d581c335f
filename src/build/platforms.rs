//! Recipes for several architectures: one recipe each, made of what they share and what is said of each alone.

use std::path::Path;

use serde_json::{Map, Value};

use super::recipe::Recipe;
use super::{BuildError, recipe};
use crate::image::Platform;
use crate::image::platform::Arch;

/// The key that lists the architectures, and the table that says what is different for each.
const LIST: &str = "architectures";
const EACH: &str = "per_architecture";

impl Recipe {
    /// The recipes of all architectures that the recipe at `path` is for; one where it lists none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_all(path: &Path) -> Result<Vec<Self>, BuildError> {
        let text =
            std::fs::read_to_string(path).map_err(crate::archive::ArchiveError::read(path))?;
        Self::parse_all(path, &text)
    }

    /// As [`read_all`](Self::read_all), of `text`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse_all(path: &Path, text: &str) -> Result<Vec<Self>, BuildError> {
        // Whatever is wrong with the text itself is told better where it is taken for one recipe.
        let Ok(Value::Object(mut shared)) = crate::document::parse(path, text) else {
            return Ok(vec![Self::parse_one(path, text)?]);
        };
        let wrong =
            |problem: String| BuildError::Recipe { recipe: path.display().to_string(), problem };
        let each = shared.remove(EACH);
        let Some(list) = shared.remove(LIST) else {
            return match each {
                Some(_) => {
                    Err(wrong(format!("{EACH} says what is different, but {LIST} lists none")))
                }
                None => Ok(vec![Self::parse_one(path, text)?]),
            };
        };
        let names: Vec<String> = serde_json::from_value(list)
            .ok()
            .filter(|names: &Vec<String>| !names.is_empty())
            .ok_or_else(|| {
                wrong(format!("{LIST} must be a list of names, such as [\"amd64\", \"arm64\"]"))
            })?;
        if shared.contains_key("architecture") {
            return Err(wrong(format!("{LIST} and architecture exclude each other")));
        }
        if !shared.contains_key("tag") {
            return Err(wrong(format!(
                "an image of several {LIST} needs a tag, which all of them carry"
            )));
        }
        let mut each: Map<String, Value> = match each.map(serde_json::from_value).transpose() {
            Ok(each) => each.unwrap_or_default(),
            Err(_) => {
                return Err(wrong(format!(
                    "{EACH} must be a table with a table for each of {LIST}"
                )));
            }
        };
        let mut recipes = Vec::new();
        for name in &names {
            let own = each.remove(name).unwrap_or_default();
            recipes.push(recipe::from_value(path, own_over(&shared, name, own).map_err(wrong)?)?);
        }
        if let Some(name) = each.keys().next() {
            let nearest = crate::suggest::nearest(name, names.iter().map(String::as_str));
            let hint = crate::suggest::hint(&nearest);
            return Err(wrong(format!("{EACH} has {name:?}, which {LIST} does not list{hint}")));
        }
        check_distinct(&recipes).map_err(wrong)?;
        Ok(recipes)
    }

    /// The recipe at `path`; of one for several architectures, that of `arch`.
    ///
    /// # Errors
    /// As [`read`](Self::read), and when there are several, and none for `arch`.
    pub fn read_for(path: &Path, arch: Arch) -> Result<Self, BuildError> {
        Self::for_arch(Self::read_all(path)?, arch)
    }

    /// As [`read_for`](Self::read_for), of `text`.
    ///
    /// # Errors
    /// As [`read_for`](Self::read_for).
    pub fn parse_for(path: &Path, text: &str, arch: Arch) -> Result<Self, BuildError> {
        Self::for_arch(Self::parse_all(path, text)?, arch)
    }

    /// The one among `recipes` for `arch`, or the only one.
    ///
    /// # Errors
    /// When there are several, and none for it.
    fn for_arch(mut recipes: Vec<Self>, arch: Arch) -> Result<Self, BuildError> {
        let fits =
            |recipe: &Self| recipe.platform.as_ref().is_some_and(|platform| platform.arch == arch);
        let index = if recipes.len() == 1 { Some(0) } else { recipes.iter().position(fits) };
        match index {
            Some(index) => Ok(recipes.swap_remove(index)),
            None => {
                let recipe = recipes
                    .first()
                    .map_or(String::new(), |recipe| recipe.path.display().to_string());
                let problem = format!("none of its {LIST} is {arch}");
                Err(BuildError::Recipe { recipe, problem })
            }
        }
    }
}

/// What is shared, with what is `own` to the architecture `name` in its place.
fn own_over(shared: &Map<String, Value>, name: &str, own: Value) -> Result<Value, String> {
    let own = match own {
        Value::Object(own) => own,
        Value::Null => Map::new(),
        _ => return Err(format!("{EACH}.{name} must be a table")),
    };
    let mut all = shared.clone();
    all.insert("architecture".to_owned(), name.into());
    for (key, value) in own {
        if ["name", "tag", "architecture"].contains(&key.as_str()) {
            return Err(format!("{EACH}.{name} has {key}, which is the same for all"));
        }
        all.insert(key, value);
    }
    Ok(Value::Object(all))
}

fn check_distinct(recipes: &[Recipe]) -> Result<(), String> {
    let mut seen: Vec<&Platform> = Vec::new();
    for platform in recipes.iter().filter_map(|recipe| recipe.platform.as_ref()) {
        if seen.contains(&platform) {
            return Err(format!("{LIST} lists {platform} twice"));
        }
        seen.push(platform);
    }
    Ok(())
}

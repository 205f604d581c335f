//! Where the environment, the fields of `config` and other facts come from.

use serde::Serialize;
use serde_json::{Map, Value};

use super::origin::{Origin, OriginKind};
use crate::build::BuildError;
use crate::build::plan::Plan;
use crate::build::recipe::TimeSetting;
use crate::image::fields::{self, MergeRule};
use crate::image::{Inherit, Timestamp};

/// A variable of the environment.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its origin.
    pub origin: Origin,
    /// The value in the base image, if the recipe replaces it.
    pub replaces: Option<String>,
}

/// A field of the image.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedField {
    /// Its name.
    pub name: String,
    /// Its value; of one that is left out, the base's.
    pub value: Value,
    /// Its origin.
    pub origin: Origin,
}

/// Explains the environment.
pub(super) fn environment(plan: &Plan) -> Result<Vec<ExplainedVariable>, BuildError> {
    let base = plan.base_config()?;
    let base = base.get("Env").map(fields::env_from).transpose()?.unwrap_or_default();
    let own = plan.recipe.config.get("Env").map(fields::env_from).transpose()?;
    let own = own.unwrap_or_default();
    let entries = plan.config.env.iter().flatten().filter_map(|entry| entry.split_once('='));
    let variable = |(name, value): (&str, &str)| {
        let in_recipe = own.get(name).is_some();
        let (kind, detail) = match in_recipe {
            true => (OriginKind::Recipe, "config.Env"),
            false => (OriginKind::Base, ""),
        };
        let replaced = base.get(name).filter(|_| in_recipe);
        ExplainedVariable {
            name: name.to_owned(),
            value: value.to_owned(),
            origin: Origin::new(kind, detail),
            replaces: replaced.map(str::to_owned),
        }
    };
    Ok(entries.map(variable).collect())
}

/// Explains the fields of `config`, except `Env`.
pub(super) fn fields(plan: &Plan) -> Result<Vec<ExplainedField>, BuildError> {
    let (base, own) = (plan.base_config()?, &plan.recipe.config);
    let invalid =
        |error: serde_json::Error| BuildError::recipe(&plan.recipe.path, error.to_string());
    let Value::Object(merged) = serde_json::to_value(&plan.config).map_err(invalid)? else {
        return Ok(Vec::new());
    };
    let mut explained = Vec::new();
    for (name, value) in merged.iter().filter(|(name, _)| *name != "Env") {
        let origin = origin_of_field(plan, name, &base, own);
        explained.push(ExplainedField { name: name.clone(), value: value.clone(), origin });
    }
    for (name, value) in base.iter().filter(|(name, _)| !merged.contains_key(*name)) {
        let reason = match own.get(name) {
            Some(Value::Null) => "clear lists it".to_owned(),
            _ if name == "Cmd" && plan.recipe.inherit.includes(name) => {
                "the recipe sets Entrypoint".to_owned()
            }
            _ => "not in inherit".to_owned(),
        };
        let origin = Origin::new(OriginKind::LeftOut, reason);
        explained.push(ExplainedField { name: name.clone(), value: value.clone(), origin });
    }
    Ok(explained)
}

fn origin_of_field(
    plan: &Plan,
    name: &str,
    base: &Map<String, Value>,
    own: &Map<String, Value>,
) -> Origin {
    let in_recipe = own.get(name).is_some_and(|value| !value.is_null());
    let is_inherited = base.contains_key(name) && plan.recipe.inherit.includes(name);
    let rule = fields::find(name).map_or(MergeRule::Replace, |field| field.rule);
    match (in_recipe, is_inherited) {
        (true, true) if rule != MergeRule::Replace => {
            Origin::new(OriginKind::RecipeAndBase, "merged")
        }
        (true, true) => Origin::new(OriginKind::Recipe, format!("config.{name}, not the base's")),
        (true, false) => Origin::new(OriginKind::Recipe, format!("config.{name}")),
        (false, _) => Origin::new(OriginKind::Base, "inherited"),
    }
}

/// Explains what is outside of `config`.
pub(super) fn image(plan: &Plan) -> Vec<ExplainedField> {
    let recipe = &plan.recipe;
    let field = |name: &str, value: Value, origin: Origin| ExplainedField {
        name: name.to_owned(),
        value,
        origin,
    };
    let tags: Vec<&str> = recipe.tags.iter().map(|tag| tag.as_str()).collect();
    let tags = match tags.is_empty() {
        true => field("tags", Value::Null, Origin::new(OriginKind::Default, "derived from inputs")),
        false => field("tags", tags.into(), recipe_key("")),
    };
    let platform = match (&recipe.platform, &plan.base) {
        (Some(_), _) => recipe_key("architecture or platforms"),
        (None, Some(_)) => Origin::new(OriginKind::Base, ""),
        (None, None) => Origin::new(OriginKind::Host, ""),
    };
    let mut fields = vec![
        field("name", recipe.name.as_str().into(), recipe_key("")),
        tags,
        field("platform", plan.platform.to_string().into(), platform),
        field("created", plan.created.to_string().into(), origin_of_created(plan)),
        field("mtime", recipe.mtime.time().to_string().into(), origin_of_mtime(recipe.mtime)),
    ];
    let base = plan.base.as_ref().map(|base| &base.image.config);
    if let Some(author) = base.and_then(|config| config.author.as_deref()) {
        let origin = match recipe.inherit {
            Inherit::All => Origin::new(OriginKind::Base, "inherited"),
            _ => Origin::new(OriginKind::LeftOut, "inherit is not \"all\""),
        };
        fields.push(field("author", author.into(), origin));
    }
    for (name, value) in plan.annotations() {
        let origin = origin_of_annotation(plan, &name);
        fields.push(field(&format!("annotations.{name}"), value.into(), origin));
    }
    fields
}

fn origin_of_created(plan: &Plan) -> Origin {
    match plan.recipe.created {
        Some(TimeSetting::Now(_)) => recipe_key("created = \"now\""),
        Some(TimeSetting::At(_)) => recipe_key("created"),
        None if plan.created == Timestamp::DEFAULT => Origin::new(OriginKind::Default, ""),
        None => Origin::new(OriginKind::Environment, "SOURCE_DATE_EPOCH"),
    }
}

fn origin_of_mtime(setting: TimeSetting) -> Origin {
    match setting {
        TimeSetting::Now(_) => recipe_key("mtime = \"now\""),
        TimeSetting::At(Timestamp::DEFAULT) => Origin::new(OriginKind::Default, ""),
        TimeSetting::At(_) => recipe_key("mtime"),
    }
}

fn origin_of_annotation(plan: &Plan, name: &str) -> Origin {
    let listed = plan.recipe.annotations.listed.as_ref();
    match listed.is_some_and(|listed| listed.contains_key(name)) {
        true => recipe_key("annotations"),
        false if name.starts_with("org.opencontainers.image.base.") => {
            Origin::new(OriginKind::Base, "")
        }
        false => recipe_key("annotations_from_labels"),
    }
}

fn recipe_key(detail: &str) -> Origin {
    Origin::new(OriginKind::Recipe, detail)
}

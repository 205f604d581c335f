//! The key `layering`: the name of a strategy, a pipeline, or a file with a pipeline or a layer
//! plan.

use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

use crate::build::error::cannot_read;
use crate::document;
use crate::layering::{LayerPlan, Pipeline, Strategy};
use crate::text;

/// The key `layering`, as written.
#[derive(Debug)]
pub(super) enum LayeringSetting {
    /// The name of a strategy, or a pipeline.
    Strategy(Strategy),
    /// A file with a pipeline or a layer plan.
    File(String),
}

impl<'de> Deserialize<'de> for LayeringSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(file) if file.contains('/') || file.ends_with(".json") => {
                Ok(Self::File(file))
            }
            Value::String(name) => name.parse().map(Self::Strategy).map_err(D::Error::custom),
            value => pipeline(&value).map(Self::Strategy).map_err(D::Error::custom),
        }
    }
}

impl LayeringSetting {
    /// The file with the layering, if there is one; it is relative to `folder`.
    pub(super) fn file(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            Self::Strategy(_) => None,
            Self::File(file) => Some(folder.join(file)),
        }
    }

    /// The strategy; a file is relative to `folder`.
    pub(super) fn strategy(self, folder: &Path) -> Result<Strategy, String> {
        let file = match self {
            Self::Strategy(strategy) => return Ok(strategy),
            Self::File(file) => folder.join(file),
        };
        let shown = text::path(&file);
        let failed = |error| cannot_read("layering", &file, &error);
        let text = document::read(&file, document::MAX_SIZE).map_err(failed)?;
        let text = document::without_mark(&text);
        let invalid = |problem: String| {
            let problem = problem.strip_prefix("layering: ").unwrap_or(&problem);
            format!("layering: {shown}: {problem}")
        };
        let value: Value =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        match value {
            Value::Object(_) => LayerPlan::parse(value).map(|plan| Strategy::Plan(plan.into())),
            value => pipeline(&value),
        }
        .map_err(invalid)
    }
}

fn pipeline(value: &Value) -> Result<Strategy, String> {
    if !value.is_array() {
        let value = text::excerpt(&value.to_string()).into_owned();
        return Err(format!("layering must be the name of a strategy or a pipeline, not {value}"));
    }
    let pipeline = Pipeline::parse(value).map_err(|error| error.to_string())?;
    Ok(Strategy::Pipeline(pipeline.into()))
}

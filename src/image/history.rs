//! One `history` entry of an image config (OCI image-spec, `config.md`).

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// How a layer came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, as the base image's author wrote it or as this build's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command that made the layer; this builder's names itself and the number of base layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A free comment; this builder lists the layer's store paths here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// True where the step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// What `created_by` says on the layers of this builder: this alone, or this with a number of base layers.
const CREATED_BY: &str = "seatrial";
const ON_BASE: &str = "seatrial, base layers: ";

/// What a comment that lists store paths begins with.
const PATHS: &str = "store paths: ";

impl History {
    /// The entry of a layer of this builder that holds `paths`, in order, in an image on `base` layers.
    pub fn of_layer(created: Timestamp, base: usize, paths: &[String]) -> Self {
        let created_by = if base == 0 { CREATED_BY.to_owned() } else { format!("{ON_BASE}{base}") };
        Self {
            created: Some(created.to_string()),
            created_by: Some(created_by),
            comment: (!paths.is_empty()).then(|| format!("{PATHS}{}", paths.join(" "))),
            ..Self::default()
        }
    }

    /// The entry that stands in for a base layer whose image has no history.
    pub fn of_base_layer(created: Option<String>) -> Self {
        Self { created, comment: Some("base image layer".to_owned()), ..Self::default() }
    }

    /// How many base layers the image has that this layer was made for; `None` where another builder made
    /// the layer.
    pub fn base_layers(&self) -> Option<usize> {
        let created_by = self.created_by.as_deref()?;
        if created_by == CREATED_BY {
            Some(0)
        } else {
            created_by.strip_prefix(ON_BASE)?.parse().ok()
        }
    }

    /// The store paths that the comment lists, where this builder wrote it.
    pub fn paths(&self) -> Vec<String> {
        let ours = self.base_layers().is_some();
        let listed = self
            .comment
            .as_deref()
            .filter(|_| ours)
            .and_then(|comment| comment.strip_prefix(PATHS));
        listed.map(|paths| paths.split(' ').map(str::to_owned).collect()).unwrap_or_default()
    }
}

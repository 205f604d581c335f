//! One `history` entry of an image config (OCI image-spec, `config.md`).

use serde::{Deserialize, Serialize};

use super::{Timestamp, null};

/// A build step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The date of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command; this builder writes its name and the number of base layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A comment; this builder lists the layer's store paths, or names its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "null::as_default"
    )]
    pub empty_layer: bool,
}

/// `created_by` of layers of this builder, without a base.
const CREATED_BY: &str = "seatrial";
/// The same with a base; the number of base layers follows.
const ON_BASE: &str = "seatrial, base layers: ";

/// The start of a comment that lists store paths.
const PATHS: &str = "store paths: ";
/// The start of a comment that has the command of a step.
const STEP: &str = "step: ";
/// The word after which a comment has the number of further store paths.
const MORE: &str = "...";

impl History {
    /// The entry of a new layer with the store paths `paths`, in an image with `base` base layers.
    /// It lists at most `most` of the store paths, and the number of the others.
    pub(crate) fn of_layer(created: Timestamp, base: usize, paths: &[String], most: usize) -> Self {
        let created_by = if base == 0 { CREATED_BY.to_owned() } else { format!("{ON_BASE}{base}") };
        let listed = &paths[..most.min(paths.len())];
        let mut comment = format!("{PATHS}{}", listed.join(" "));
        if listed.len() < paths.len() {
            comment.push_str(&format!(" {MORE} and {} more", paths.len() - listed.len()));
        }
        Self {
            created: Some(created.to_string()),
            created_by: Some(created_by),
            comment: (!paths.is_empty()).then_some(comment),
            ..Self::default()
        }
    }

    /// The entry of a layer that the command `step` made, in an image with `base` base layers.
    pub fn of_step(created: Timestamp, base: usize, step: &str) -> Self {
        let comment = Some(format!("{STEP}{step}"));
        Self { comment, ..Self::of_layer(created, base, &[], 0) }
    }

    /// A placeholder for a base layer whose image has no history.
    pub fn of_base_layer(created: Option<String>) -> Self {
        Self { created, comment: Some("base image layer".to_owned()), ..Self::default() }
    }

    /// The number of base layers of the image that this layer was built for; `None` if another
    /// builder made the layer.
    pub fn base_layers(&self) -> Option<usize> {
        let created_by = self.created_by.as_deref()?;
        if created_by == CREATED_BY {
            Some(0)
        } else {
            created_by.strip_prefix(ON_BASE)?.parse().ok()
        }
    }

    /// The command of the step that made the layer, if this builder wrote the entry.
    pub fn step(&self) -> Option<&str> {
        self.base_layers()?;
        self.comment.as_deref()?.strip_prefix(STEP)
    }

    /// The store paths in the comment, if this builder wrote it; the first ones if there are many.
    pub fn paths(&self) -> Vec<String> {
        let ours = self.base_layers().is_some();
        let listed = self
            .comment
            .as_deref()
            .filter(|_| ours)
            .and_then(|comment| comment.strip_prefix(PATHS));
        let paths = listed.into_iter().flat_map(|paths| paths.split(' '));
        paths.take_while(|path| *path != MORE).map(str::to_owned).collect()
    }
}

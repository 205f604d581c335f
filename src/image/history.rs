//! One `history` entry of an image config (OCI image-spec, `config.md`).

use serde::{Deserialize, Serialize};

use super::{LayerContents, Timestamp, null};

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
    /// A comment; this builder lists the layer's store paths and packages and has the name that the
    /// recipe gives it, or names its step.
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

/// The start of the part of a comment that lists store paths.
const PATHS: &str = "store paths: ";
/// The start of the part that lists packages.
const PACKAGES: &str = "packages: ";
/// The start of the part with the layer's name, which is the last one: names have any characters.
const NAME: &str = "layer: ";
/// The start of a comment that has the command of a step.
const STEP: &str = "step: ";
/// The end of each part but the last.
const PART_END: &str = "; ";
/// The word after which a list has the number of further values.
const MORE: &str = "...";

impl History {
    /// The entry of a new layer with these contents, in an image with `base` base layers. It lists
    /// at most `most` store paths and packages, and the number of the others.
    pub(crate) fn of_layer(
        created: Timestamp,
        base: usize,
        contents: &LayerContents,
        most: usize,
    ) -> Self {
        let lists = [(PATHS, &contents.paths), (PACKAGES, &contents.packages)];
        let mut parts: Vec<String> =
            lists.iter().filter_map(|(start, values)| listed(start, values, most)).collect();
        parts.extend(contents.name.iter().map(|name| format!("{NAME}{name}")));
        let comment = (!parts.is_empty()).then(|| parts.join(PART_END));
        Self { comment, ..Self::without_comment(created, base) }
    }

    /// The entry of a layer that the command `step` made, in an image with `base` base layers.
    pub fn of_step(created: Timestamp, base: usize, step: &str) -> Self {
        let comment = Some(format!("{STEP}{step}"));
        Self { comment, ..Self::without_comment(created, base) }
    }

    fn without_comment(created: Timestamp, base: usize) -> Self {
        let created_by = if base == 0 { CREATED_BY.to_owned() } else { format!("{ON_BASE}{base}") };
        Self { created: Some(created.to_string()), created_by: Some(created_by), ..Self::default() }
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

    /// The store paths in the comment, if this builder wrote it; the first ones if there are many.
    pub fn paths(&self) -> Vec<String> {
        self.contents().paths
    }

    /// The contents of the layer, of which lists have the first values if there are many.
    pub(crate) fn contents(&self) -> LayerContents {
        if self.base_layers().is_none() {
            let created_by = self.created_by.clone().filter(|command| !command.trim().is_empty());
            return LayerContents { created_by, ..LayerContents::default() };
        }
        let comment = self.comment.as_deref().unwrap_or_default();
        if let Some(step) = comment.strip_prefix(STEP) {
            return LayerContents { step: Some(step.to_owned()), ..LayerContents::default() };
        }
        let (paths, rest) = list(PATHS, comment);
        let (packages, rest) = list(PACKAGES, rest);
        let name = rest.strip_prefix(NAME).map(str::to_owned);
        LayerContents { paths, packages, name, ..LayerContents::default() }
    }
}

/// The part of a comment that begins with `start` and lists at most `most` of `values`; `None` if
/// there are none.
fn listed(start: &str, values: &[String], most: usize) -> Option<String> {
    let listed = &values[..most.min(values.len())];
    let mut part = format!("{start}{}", listed.join(" "));
    if listed.len() < values.len() {
        part.push_str(&format!(" {MORE} and {} more", values.len() - listed.len()));
    }
    (!values.is_empty()).then_some(part)
}

/// The values in the part of `comment` that begins with `start`, which may be missing, and what
/// follows it.
fn list<'c>(start: &str, comment: &'c str) -> (Vec<String>, &'c str) {
    let Some(part) = comment.strip_prefix(start) else { return (Vec::new(), comment) };
    let (values, rest) = part.split_once(PART_END).unwrap_or((part, ""));
    let values = values.split(' ').take_while(|value| *value != MORE);
    (values.map(str::to_owned).collect(), rest)
}

//! Renders an image's summary for people, within 80 columns.

use std::fmt::Write;

use indicatif::BinaryBytes;

use crate::image::Summary;
use crate::image::summary::LayerSummary;
use crate::text;

const WIDTH: usize = 80;
/// The column in which values begin.
const INDENT: usize = 14;
/// The number of layers up to which each is listed.
const MAX_LAYERS: usize = 12;
/// The most names of an image that are listed below the first.
const REFERENCES_MAX: usize = 10;

/// Renders the summary as lines of text, each with a newline at its end.
pub(super) fn render(summary: &Summary) -> String {
    let mut output = String::new();
    let mut previous = "";
    for (label, value) in values(summary) {
        let shown_label = if label == previous { "" } else { label };
        previous = label;
        // An ID is printed in full, so that it can be copied.
        let value = if label == "id" { value } else { text::fit(&value, WIDTH - INDENT) };
        let _ = writeln!(output, "  {shown_label:<12}{value}");
    }
    output.push_str(&layers(&summary.layers));
    output
}

/// Returns labels and values, except the layers.
fn values(summary: &Summary) -> Vec<(&'static str, String)> {
    let or = |value: &Option<String>, default: &str| value.as_deref().unwrap_or(default).to_owned();
    let mut values = vec![("reference", or(&summary.reference, "none"))];
    let others = summary.references.iter().skip(1);
    values.extend(others.clone().take(REFERENCES_MAX).map(|other| ("reference", other.clone())));
    let more = others.count().saturating_sub(REFERENCES_MAX);
    if more > 0 {
        values.push(("reference", format!("({more} more names)")));
    }
    values.extend([
        ("id", summary.id.to_string()),
        ("platform", platform(summary)),
        ("created", or(&summary.created, "unknown")),
    ]);
    let config = &summary.config;
    values.extend(summary.env.iter().map(|entry| ("env", entry.clone())));
    for (label, command) in [("entrypoint", &config.entrypoint), ("cmd", &config.cmd)] {
        values.extend(command.as_ref().map(|words| (label, serde_json::json!(words).to_string())));
    }
    for (label, value) in [("user", &config.user), ("workdir", &config.working_dir)] {
        values.extend(value.clone().map(|value| (label, value)));
    }
    values
}

fn platform(summary: &Summary) -> String {
    let variant = summary.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", summary.os, summary.architecture)
}

/// Renders the number of layers and the layers, without those in the middle if there are many.
fn layers(layers: &[LayerSummary]) -> String {
    let base = layers.iter().filter(|layer| layer.contents.base).count();
    let size: u64 = layers.iter().filter_map(shown_size).sum();
    let from_base =
        if base > 0 { format!(", {base} of them from the base image") } else { String::new() };
    let unread = layers.iter().any(|layer| layer.size.is_none());
    let stored = if unread { " as stored" } else { "" };
    let size = BinaryBytes(size);
    let mut output = format!("  {:<12}{}, {size}{stored}{from_base}\n", "layers", layers.len());
    let omitted = if layers.len() > MAX_LAYERS {
        MAX_LAYERS / 2..layers.len() - MAX_LAYERS / 2
    } else {
        0..0
    };
    for (index, layer) in layers.iter().enumerate() {
        if omitted.contains(&index) {
            if index == omitted.start {
                let _ = writeln!(output, "  {:>12}", format!("({} more)", omitted.len()));
            }
            continue;
        }
        let (number, size) = (index + 1, BinaryBytes(shown_size(layer).unwrap_or(0)).to_string());
        let digest = &layer.diff_id.0.hex()[..12];
        let title = layer.contents.title(number, WIDTH - 41);
        let _ = writeln!(output, "  {number:>12}{size:>11}  {digest}  {title}");
    }
    output
}

/// The size of a layer, or else as it is stored.
fn shown_size(layer: &LayerSummary) -> Option<u64> {
    layer.size.or(layer.stored_size)
}

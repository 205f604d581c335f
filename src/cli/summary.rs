//! Draws an image's summary for people, within 80 columns.

use std::fmt::Write;

use indicatif::BinaryBytes;

use crate::image::Summary;
use crate::image::summary::LayerSummary;

const WIDTH: usize = 80;
/// Where values begin.
const INDENT: usize = 14;

/// The summary as lines of text, each ended by a newline.
pub(super) fn draw(summary: &Summary) -> String {
    let mut lines = vec![
        ("reference", summary.reference.clone().unwrap_or_else(|| "none".to_owned())),
        ("id", summary.id.to_string()),
        ("platform", platform(summary)),
        ("created", summary.created.clone().unwrap_or_else(|| "unknown".to_owned())),
    ];
    let config = &summary.config;
    lines.extend(summary.env.iter().map(|entry| ("env", entry.clone())));
    let mut list = |label, value: &Option<Vec<String>>| {
        lines.extend(value.as_ref().map(|words| (label, format!("{words:?}"))));
    };
    list("entrypoint", &config.entrypoint);
    list("cmd", &config.cmd);
    let mut text =
        |label, value: &Option<String>| lines.extend(value.clone().map(|value| (label, value)));
    text("user", &config.user);
    text("workdir", &config.working_dir);
    let mut drawn = String::new();
    let mut last = "";
    for (label, value) in &lines {
        let label = if *label == std::mem::replace(&mut last, label) { "" } else { *label };
        let value: String =
            value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        // An id stays whole, to be copied.
        let value = if value.starts_with("sha256:") { value } else { cut(&value, WIDTH - INDENT) };
        let _ = writeln!(drawn, "  {label:<12}{value}");
    }
    drawn.push_str(&layers(&summary.layers));
    drawn
}

fn platform(summary: &Summary) -> String {
    let variant = summary.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", summary.os, summary.architecture)
}

/// How many layers are shown one by one.
const SHOWN: usize = 12;

fn layers(layers: &[LayerSummary]) -> String {
    let base = layers.iter().filter(|layer| layer.base).count();
    let size: u64 = layers.iter().map(|layer| layer.size).sum();
    let from_base =
        if base > 0 { format!(", {base} of them from the base image") } else { String::new() };
    let mut drawn =
        format!("  {:<12}{}, {}{from_base}\n", "layers", layers.len(), BinaryBytes(size));
    let (head, tail) = if layers.len() > SHOWN {
        (SHOWN / 2, layers.len() - SHOWN / 2)
    } else {
        (layers.len(), layers.len())
    };
    for (index, layer) in layers.iter().enumerate() {
        if index == head && head < tail {
            let _ = writeln!(drawn, "  {:>12}", format!("({} more)", tail - head));
        }
        if index < head || index >= tail {
            let size = BinaryBytes(layer.size).to_string();
            let digest = &layer.diff_id.0.hex()[..12];
            let _ = writeln!(
                drawn,
                "  {:>12}{size:>11}  {digest}  {}",
                index + 1,
                cut(&what(layer), WIDTH - 41)
            );
        }
    }
    drawn
}

fn what(layer: &LayerSummary) -> String {
    let names: Vec<&str> = layer.paths.iter().filter_map(|path| path.rsplit('/').next()).collect();
    match (layer.base, names.as_slice()) {
        (true, _) => "base".to_owned(),
        (_, []) => "contents".to_owned(),
        // The hash says nothing to people, and takes the room of the name.
        (_, [one]) => one.split_once('-').map_or(*one, |(_, name)| name).to_owned(),
        (_, many) => format!("{} store paths", many.len()),
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 3).chain("...".chars()).collect()
}

//! Renders an image's summary for people, within 80 columns.

use std::collections::BTreeMap;
use std::fmt::Write;

use indicatif::BinaryBytes;

use crate::image::summary::LayerSummary;
use crate::image::{ContainerConfig, Set, Summary};
use crate::text;

const WIDTH: usize = 80;
/// The column in which values begin.
const INDENT: usize = 14;
/// The number of layers up to which each is listed.
const MAX_LAYERS: usize = 12;
/// The most lines for one label.
const VALUES_MAX: usize = 40;
/// The most names of an image that are listed below the first.
const REFERENCES_MAX: usize = 10;

/// A label and a value.
pub(super) type Value = (&'static str, String);

/// Renders the summary as lines of text, each with a newline at its end.
pub(super) fn render(summary: &Summary) -> String {
    lines(&values(summary)) + &layers(&summary.layers)
}

/// Renders the summary like [`render`], with all that the config says about containers, and `more`
/// values.
pub(super) fn render_all(summary: &Summary, more: &[Value]) -> String {
    let config = container(&summary.config);
    let values = [values(summary), config, more.to_vec()].concat();
    lines(&values) + &layers(&summary.layers)
}

/// Renders values. Of several with the same label, only the first has it.
fn lines(values: &[Value]) -> String {
    let mut output = String::new();
    let mut previous = "";
    for (label, value) in values {
        let label = *label;
        let shown_label = if label == previous { "" } else { label };
        previous = label;
        // An ID is printed in full, so that it can be copied.
        let is_id = label == "id";
        let value = if is_id { value.clone() } else { text::fit(value, WIDTH - INDENT) };
        let _ = writeln!(output, "  {shown_label:<12}{value}");
    }
    output
}

/// Returns labels and values, except the layers.
fn values(summary: &Summary) -> Vec<Value> {
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

/// Returns what a container of the image gets besides its command and environment.
fn container(config: &ContainerConfig) -> Vec<Value> {
    let names = |set: &Option<Set>| set.iter().flatten().map(|(name, _)| name.clone()).collect();
    let mut values = packed("ports", names(&config.exposed_ports));
    values.extend(packed("volumes", names(&config.volumes)));
    if let Some(check) = &config.healthcheck {
        let test = check.get("Test").map_or_else(|| "[]".to_owned(), ToString::to_string);
        values.push(("healthcheck", test));
        values.extend(packed("healthcheck", health_settings(check)));
    }
    let timeout = config.extra.get("StopTimeout").filter(|timeout| !timeout.is_null());
    let timeout = timeout.map(|timeout| format!("timeout {timeout} s"));
    let stop: Vec<String> = config.stop_signal.iter().cloned().chain(timeout).collect();
    values.extend((!stop.is_empty()).then(|| ("stop", stop.join(", "))));
    values.extend(listed("label", &config.labels.clone().unwrap_or_default()));
    values
}

/// The settings of the health check `check`, besides its test, that are not the default.
fn health_settings(check: &serde_json::Value) -> Vec<String> {
    let number = |name: &str| check.get(name)?.as_i64().filter(|number| *number != 0);
    let fields = [
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start period", "StartPeriod"),
        ("start interval", "StartInterval"),
    ];
    let duration = |(label, name)| Some(format!("{label} {}", seconds(number(name)?)));
    let durations = fields.into_iter().filter_map(duration);
    durations.chain(number("Retries").map(|retries| format!("retries {retries}"))).collect()
}

/// A number of nanoseconds in seconds.
fn seconds(nanoseconds: i64) -> String {
    let (sign, number) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    let (whole, rest) = (number / 1_000_000_000, number % 1_000_000_000);
    let fraction = format!(".{rest:09}");
    format!("{sign}{whole}{} s", fraction.trim_end_matches('0').trim_end_matches('.'))
}

/// Puts several short values in each line.
fn packed(label: &'static str, values: Vec<String>) -> Vec<Value> {
    let mut lines: Vec<String> = Vec::new();
    for value in values {
        match lines.last_mut() {
            Some(line) if line.chars().count() + value.chars().count() + 2 <= WIDTH - INDENT => {
                *line += &format!(", {value}");
            }
            _ => lines.push(value),
        }
    }
    limited(lines.into_iter().map(|line| (label, line)).collect())
}

/// Lists names with their values.
pub(super) fn listed(label: &'static str, entries: &BTreeMap<String, String>) -> Vec<Value> {
    limited(entries.iter().map(|(name, value)| (label, format!("{name}={value}"))).collect())
}

/// The first values, all with the same label, and the number of the others.
pub(super) fn limited(mut values: Vec<Value>) -> Vec<Value> {
    let more = values.len().saturating_sub(VALUES_MAX);
    values.truncate(VALUES_MAX);
    if let Some((label, _)) = values.first().filter(|_| more > 0) {
        values.push((*label, format!("({more} more; --json lists all)")));
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

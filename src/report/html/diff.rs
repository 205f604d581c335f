//! The page of a comparison of two images: layers, files and config.

use indicatif::BinaryBytes;
use maud::{Markup, html};
use serde_json::Value;

use super::document::{Head, Status, page};
use crate::archive::diff::{ConfigChange, ImageDiff, LayerDiff, LayerState};
use crate::archive::flatten::FileChange;
use crate::text;

/// The most characters of the title of a layer.
const TITLE: usize = 80;
/// The most files of each kind that are listed.
const FILES_MAX: usize = 2000;

/// Returns the page of `diff`, the differences between the images `first` and `second`.
pub fn diff_page(first: &str, second: &str, diff: &ImageDiff) -> String {
    let status = if diff.is_empty() { Status::Same } else { Status::Different };
    let summary = [
        format!("from {}", text::shorten(first)),
        format!("to {}", text::shorten(second)),
        format!("{} to transfer", BinaryBytes(diff.ship)),
    ];
    let body = html! {
        (layers(&diff.layers))
        (paths("Files added", &diff.files.added))
        (paths("Files removed", &diff.files.removed))
        (changed(&diff.files.changed))
        @if !diff.config.is_empty() {
            section { h2 { "Config" } @for change in &diff.config { (config(change)) } }
        }
    };
    page(&Head::new(status, &summary), None, body)
}

fn layers(layers: &[LayerDiff]) -> Markup {
    let largest = layers.iter().map(|layer| layer.size).max().unwrap_or(0).max(1);
    html! {
        section {
            h2 { "Layers" }
            table {
                thead {
                    tr {
                        @for title in ["State", "Size", "Layer"] { th scope="col" { (title) } }
                    }
                }
                tbody { @for layer in layers { (row(layer, largest)) } }
            }
            p class="quiet" {
                "Kept: in both, on the same layers. Moved: in both, but engines unpack it again. \
                 New: to transfer. Gone: only in the first image."
            }
        }
    }
}

fn row(layer: &LayerDiff, largest: u64) -> Markup {
    let (state, class) = match layer.state {
        LayerState::Kept => ("kept", "passed"),
        LayerState::Moved => ("moved", "skipped"),
        LayerState::New => ("new", "error"),
        LayerState::Gone => ("gone", "failed"),
    };
    let names: Vec<&str> = layer.contents.names().collect();
    html! {
           tr {
               td class="result" { span class={ "badge " (class) } { (state) } }
               td {
                   (BinaryBytes(layer.size))
                   br;
                   meter min="0" max=(largest) value=(layer.size) {}
               }
               td {
                   code { (&layer.diff_id.0.hex()[..12]) }
    " " (layer.contents.title(layer.number, TITLE))
                   @if names.len() > 1 {
                       details {
                           summary { (names.len()) " packages and store paths" }
                           pre { @for name in &names { (text::shorten(name)) "\n" } }
                       }
                   }
               }
           }
       }
}

fn paths(title: &str, paths: &[String]) -> Markup {
    let lines = paths.iter().map(|path| text::shorten(path).into_owned());
    listed(title, lines)
}

fn changed(changes: &[FileChange]) -> Markup {
    let line = |change: &FileChange| {
        format!("{} ({})", text::shorten(&change.path), change.differences.join(", "))
    };
    listed("Files changed", changes.iter().map(line))
}

fn listed(title: &str, lines: impl ExactSizeIterator<Item = String>) -> Markup {
    let more = lines.len().saturating_sub(FILES_MAX);
    html! {
        @if lines.len() > 0 {
            section {
                h2 { (title) ": " (lines.len()) }
                pre {
                    @for line in lines.take(FILES_MAX) { (line) "\n" }
                    @if more > 0 { "and " (more) " more\n" }
                }
            }
        }
    }
}

fn config(change: &ConfigChange) -> Markup {
    let value = |value: &Value| match value {
        Value::Null => "not set".to_owned(),
        value => text::excerpt(&value.to_string()).into_owned(),
    };
    html! {
        dl {
            dt { (text::shorten(&change.field)) }
            dd { span { "first" } code { (value(&change.first)) } }
            dd { span { "second" } code { (value(&change.second)) } }
        }
    }
}

//! Renders layers for people, within 80 columns: a line for each, with a bar for its size.

use std::fmt::Write;

use indicatif::BinaryBytes;
use serde::Serialize;

use crate::image::LayerContents;
use crate::text;

/// A layer, as printed.
#[derive(Serialize)]
pub(super) struct Row {
    /// The size of the uncompressed tar in bytes.
    pub(super) size: u64,
    /// The number of files and folders; null for a layer of the base.
    pub(super) entries: Option<usize>,
    #[serde(flatten)]
    pub(super) contents: LayerContents,
    /// The other images that have the same layer.
    pub(super) shared_with: Vec<String>,
}

/// The length of the bar of the largest layer.
const BAR: u128 = 18;
/// The columns for the title of a layer.
const TITLE: usize = 42;

/// Renders `rows`, the layers of the image `name`; `steps` layers more are not known yet.
pub(super) fn render(name: &str, rows: &[Row], steps: usize) -> String {
    let total: u64 = rows.iter().map(|row| row.size).sum();
    let largest = rows.iter().map(|row| row.size).max().unwrap_or(0).max(1);
    let layers = match rows.len() + steps {
        1 => "1 layer".to_owned(),
        count => format!("{count} layers"),
    };
    let mut output = format!("{name}: {layers}, {}\n", BinaryBytes(total));
    for (index, row) in rows.iter().enumerate() {
        let bar = "#".repeat((u128::from(row.size) * BAR).div_ceil(u128::from(largest)) as usize);
        let size = BinaryBytes(row.size).to_string();
        let title = row.contents.title(index + 1, TITLE);
        let _ = writeln!(output, "{:>4}{size:>12}  {bar:<width$} {title}", index + 1, width = 18);
        if !row.shared_with.is_empty() {
            let others = text::fit(&text::list(&row.shared_with), TITLE - 8);
            let _ = writeln!(output, "{:37}same in {others}", "");
        }
    }
    if steps > 0 {
        let _ = writeln!(output, "    and {steps} that steps make, whose size is not known yet");
    }
    output
}

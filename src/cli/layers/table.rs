//! Renders layers for people, within 80 columns: a line for each, with a bar for its size.

use std::fmt::Write;

use indicatif::BinaryBytes;
use serde::Serialize;

use crate::text;

/// A layer, as printed.
#[derive(Serialize)]
pub(super) struct Row {
    /// The size of the uncompressed tar in bytes.
    pub(super) size: u64,
    /// The number of files and folders; null for a layer of the base.
    pub(super) entries: Option<usize>,
    pub(super) base: bool,
    /// The name that the recipe gives it.
    pub(super) name: Option<String>,
    /// The packages of dpkg or apk in it.
    pub(super) packages: Vec<String>,
    pub(super) paths: Vec<String>,
    /// The other images that have the same layer.
    pub(super) shared_with: Vec<String>,
}

/// The length of the bar of the largest layer.
const BAR: u128 = 18;
/// The columns for the name of a layer.
const NAME: usize = 42;

/// Renders `rows`, the layers of the image `name`; `steps` layers more are not known yet.
pub(super) fn render(name: &str, rows: &[Row], steps: usize) -> String {
    let total: u64 = rows.iter().map(|row| row.size).sum();
    let largest = rows.iter().map(|row| row.size).max().unwrap_or(0).max(1);
    let mut output = format!("{name}: {} layers, {}\n", rows.len() + steps, BinaryBytes(total));
    for (index, row) in rows.iter().enumerate() {
        let bar = "#".repeat((u128::from(row.size) * BAR).div_ceil(u128::from(largest)) as usize);
        let size = BinaryBytes(row.size).to_string();
        let label = shortened(&label(row), NAME);
        let _ = writeln!(output, "{:>4}{size:>12}  {bar:<width$} {label}", index + 1, width = 18);
        if !row.shared_with.is_empty() {
            let others = shortened(&text::list(&row.shared_with), NAME - 8);
            let _ = writeln!(output, "{:37}same in {others}", "");
        }
    }
    if steps > 0 {
        let _ = writeln!(output, "    and {steps} that steps make, whose size is not known yet");
    }
    output
}

/// The contents of a layer: its name, or its first package and the number of others.
fn label(row: &Row) -> String {
    let packages = row.packages.iter().map(String::as_str);
    // Without the hash of the store path there is more space for the name.
    let paths = row.paths.iter().filter_map(|path| path.rsplit('/').next());
    let paths = paths.map(|name| name.split_once('-').map_or(name, |(_, name)| name));
    let names: Vec<&str> = packages.chain(paths).collect();
    match (row.base, &row.name, names.as_slice()) {
        (true, ..) => "base".to_owned(),
        (_, Some(name), _) => name.clone(),
        (_, _, []) => "contents".to_owned(),
        (_, _, [name, others @ ..]) => match others.len() {
            0 => (*name).to_owned(),
            more => {
                let more = format!(" and {more} more");
                format!("{}{more}", shortened(name, NAME - more.len()))
            }
        },
    }
}

fn shortened(text: &str, width: usize) -> String {
    let text = text::shorten(text);
    match text.chars().count() <= width {
        true => text.into_owned(),
        false => text.chars().take(width - 3).chain("...".chars()).collect(),
    }
}

//! A timeline as a picture (SVG).

use crate::engine::TimelineEvent;

const WIDTH: f64 = 720.0;
const ROW: f64 = 22.0;
/// Where the line begins and ends.
const LINE: (f64, f64) = (10.0, 420.0);

/// Dots on a line, one row an event, and what each is beside it.
pub(super) fn timeline(events: &[TimelineEvent]) -> String {
    let end = events.last().map_or(1.0, |event| event.at.as_secs_f64()).max(0.001);
    let height = ROW * events.len() as f64 + 8.0;
    let mut rows = String::new();
    for (index, event) in events.iter().enumerate() {
        let at = event.at.as_secs_f64();
        let (x, y) = (LINE.0 + (LINE.1 - LINE.0) * at / end, ROW * index as f64 + 15.0);
        rows.push_str(&format!(
            "<line class=\"rail\" x1=\"{}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{y}\"/><circle cx=\"{x:.1}\" cy=\"{y}\" r=\"5\"/>\
             <text x=\"{}\" y=\"{}\">{at:.2} s&#160;&#160;{}</text>",
            LINE.0,
            LINE.1 + 18.0,
            y + 4.0,
            super::html::escaped(&event.what),
        ));
    }
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"what was ready when\">{rows}</svg>"
    )
}

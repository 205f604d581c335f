//! A timeline as an SVG image.

use maud::{Markup, html};

use crate::engine::TimelineEvent;

const WIDTH: f64 = 720.0;
const ROW_HEIGHT: f64 = 22.0;
/// The horizontal positions of the first and the last event.
const AXIS: (f64, f64) = (10.0, 330.0);
const LABEL_X: f64 = AXIS.1 + 18.0;

/// Draws one row for each event: a dot at its time, and the time and the event as text.
pub(super) fn timeline(events: &[TimelineEvent]) -> Markup {
    let end = events.last().map_or(1.0, |event| event.at.as_secs_f64()).max(0.001);
    let view_box = format!("0 0 {WIDTH} {}", ROW_HEIGHT * events.len() as f64 + 8.0);
    html! {
        svg viewBox=(view_box) role="img" aria-label="timeline" {
            @for (index, event) in events.iter().enumerate() {
                @let seconds = event.at.as_secs_f64();
                @let x = format!("{:.1}", AXIS.0 + (AXIS.1 - AXIS.0) * seconds / end);
                @let y = ROW_HEIGHT * index as f64 + 15.0;
                line x1=(AXIS.0) x2=(x) y1=(y) y2=(y) {}
                circle cx=(x) cy=(y) r="5" {}
                text class="time" x=(LABEL_X + 56.0) y=(y + 4.0) { (format!("{seconds:.2} s")) }
                text x=(LABEL_X + 68.0) y=(y + 4.0) { (event.what) }
            }
        }
    }
}

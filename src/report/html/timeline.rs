//! Timelines below each other with one axis: a lane for each engine or wait strategy, which unfolds
//! into one line for each event.

use maud::{Markup, html};

use crate::engine::TimelineEvent;

/// The most marks on the axis: their labels must have room on a narrow page.
const TICKS: f64 = 5.0;

/// An event of a lane.
pub(super) struct Mark {
    /// Seconds since the start.
    pub at: f64,
    /// The guest's clock, if it is known.
    pub guest: Option<f64>,
    /// The event.
    pub label: String,
    /// A result that this event means: the name of a CSS class, or nothing.
    pub class: &'static str,
}

/// A timeline among others.
pub(super) struct Lane {
    /// The engine or wait strategy.
    pub title: Markup,
    /// The result.
    pub note: Markup,
    /// The events, in order.
    pub marks: Vec<Mark>,
    /// Whether the events are shown.
    pub open: bool,
}

/// Returns the events as marks without a result.
pub(super) fn marks(events: &[TimelineEvent]) -> Vec<Mark> {
    let mark = |event: &TimelineEvent| Mark {
        at: event.at.as_secs_f64(),
        guest: event.guest.map(|time| time.as_secs_f64()),
        label: event.what.clone(),
        class: "",
    };
    events.iter().map(mark).collect()
}

/// Returns the time of the last event of all `lanes`.
pub(super) fn end(lanes: &[Lane]) -> f64 {
    lanes.iter().flat_map(|lane| &lane.marks).map(|mark| mark.at).fold(0.001, f64::max)
}

/// Draws `lanes` on an axis from 0 to `end` seconds.
pub(super) fn lanes(lanes: &[Lane], end: f64) -> Markup {
    html! {
        div class="lanes" {
            div class="axis" {
                span {}
                div class="track" {
                    @for (at, label) in ticks(end) { i style=(left(at, end)) { (label) } }
                }
                span {}
            }
            @for lane in lanes { (draw(lane, end)) }
        }
    }
}

fn draw(lane: &Lane, end: f64) -> Markup {
    let last = lane.marks.iter().map(|mark| mark.at).fold(0.0, f64::max);
    html! {
        details class="lane" open[lane.open] {
            summary {
                span class="title" { (lane.title) }
                div class="track" {
                    b style=(format!("width:{:.2}%", 100.0 * last / end)) {}
                    @for mark in &lane.marks {
                        i class={ "dot " (mark.class) } style=(left(mark.at, end))
                            title=(format!("{:.2} s: {}", mark.at, mark.label)) {}
                    }
                }
                span class="note" { (lane.note) }
            }
            @for mark in &lane.marks {
                div class="event" {
                    time title=[mark.guest.map(|at| format!("guest clock {at:.2} s"))] {
                        (format!("{:.2} s", mark.at))
                    }
                    div class="track" {
                        i class={ "dot " (mark.class) } style=(left(mark.at, end)) {}
                    }
                    span class=(mark.class) { (mark.label) }
                }
            }
        }
    }
}

fn left(at: f64, end: f64) -> String {
    format!("left:{:.2}%", 100.0 * (at / end).clamp(0.0, 1.0))
}

/// Round times from 0 to `end`, with their labels.
fn ticks(end: f64) -> Vec<(f64, String)> {
    let power = 10_f64.powf((end / TICKS).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| end / step <= TICKS).unwrap_or(end);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let count = (end / step) as usize;
    (0..=count)
        .map(|index| (step * index as f64, format!("{:.digits$} s", step * index as f64)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_round_times() {
        let labels = |end| ticks(end).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(0.31), ["0.0 s", "0.1 s", "0.2 s", "0.3 s"]);
        assert_eq!(labels(9.0), ["0 s", "2 s", "4 s", "6 s", "8 s"]);
        assert_eq!(labels(60.0), ["0 s", "20 s", "40 s", "60 s"]);
    }
}

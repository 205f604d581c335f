//! Large graphs, and pipelines that make too many layers.

use std::fs;
use std::time::Duration;

use seatrial::layering::{LayeringError, Strategy};
use serde_json::json;

use super::{edges, graph, pipeline};

/// The CPU time of this thread, which does not depend on other work of the host.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn large_graphs_are_split_in_seconds() {
    // Each path refers to some that come after it, as in a closure of packages.
    let count = 20_000;
    let nodes: Vec<_> = (0..count)
        .map(|number| {
            let to = |step: usize| (number + 1 + number * step % 97 * step).min(count - 1);
            let references = (1..6).map(to).filter(|to| *to != number).map(|to| to.to_string());
            (number.to_string(), references.collect(), (number * 7919 % 10_007) as u64)
        })
        .collect();
    let graph = graph(&nodes);
    let limited = pipeline(&json!([["popularity_contest"], ["limit_layers", 90]]));
    for strategy in [Strategy::Auto, Strategy::Balanced, Strategy::Popularity, limited] {
        let start = cpu_time();
        assert!(strategy.layers(&graph, 99).unwrap().len() > 2);
        // Ten times what an optimized program takes; blow-ups take minutes.
        let took = cpu_time() - start;
        assert!(took < Duration::from_secs(20), "{strategy:?} {took:?}");
    }
}

#[test]
fn a_pipeline_never_makes_more_layers_than_allowed() {
    let three = edges(&[("A", "B"), ("B", "C")], &[]);
    let error = pipeline(&json!([["popularity_contest"]])).layers(&three, 2).unwrap_err();
    assert_eq!(error, LayeringError::TooMany { layers: 3, available: 2 });
}

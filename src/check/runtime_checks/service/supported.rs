//! The parts of a service's expectations that an engine can check.

use crate::check::expectations::ServiceExpectations;
use crate::engine::Engine;

/// The names of the parts that not every engine can check.
pub(in crate::check) const PARTS: [&str; 1] = [STOP];
const STOP: &str = "stop";

/// Returns the parts of `expected` that not every engine can check.
pub(in crate::check::runtime_checks) fn parts(
    expected: &ServiceExpectations,
) -> impl Iterator<Item = &'static str> {
    let has_signal = expected.stop.as_ref().is_some_and(|stop| stop.signal.is_some());
    has_signal.then_some(STOP).into_iter()
}

/// A part that is left out, and the reason.
type LeftOut = (&'static str, &'static str);

/// Returns `expected` without the parts that `engine` cannot check, and these parts.
pub(in crate::check::runtime_checks) fn supported(
    expected: &ServiceExpectations,
    engine: &Engine,
) -> (ServiceExpectations, Vec<LeftOut>) {
    let (mut supported, mut left_out) = (expected.clone(), Vec::new());
    let has_signal = expected.stop.as_ref().is_some_and(|stop| stop.signal.is_some());
    if let Some(reason) = engine.signal_unsupported().filter(|_| has_signal) {
        // By another signal, the service may end in another way.
        supported.stop = None;
        left_out.push((STOP, reason));
    }
    (supported, left_out)
}

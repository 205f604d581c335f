//! One run: resumes the VM, waits as the strategy does, runs the client, and reads the guest's
//! journal for the timeline.

use std::time::Duration;

use super::client::{self, AGENT_TIMEOUT, parse_seconds};
use super::{Outcome, ReplayError, Run, Scenario, WaitStrategy};
use crate::engine::Timeline;
use crate::text::errors;
use crate::vm::instance::units;
use crate::vm::{PausedVm, ResumedVm, VmError};

/// Runs a client once. If the VM fails, the outcome is [`Outcome::Error`].
pub(super) async fn run(
    scenario: &Scenario,
    vm: &PausedVm,
    strategy: &WaitStrategy,
    timeout: Duration,
) -> Run {
    let mut run = Run {
        strategy: strategy.clone(),
        outcome: Outcome::Error,
        waited: 0.0,
        took: 0.0,
        message: String::new(),
        lag: None,
        timeline: Vec::new(),
    };
    if let Err(error) = fill(&mut run, scenario, vm, timeout).await {
        (run.outcome, run.message) = (Outcome::Error, errors::chain(&error));
    }
    run
}

/// Runs the client and writes the result into `run`.
async fn fill(
    run: &mut Run,
    scenario: &Scenario,
    vm: &PausedVm,
    timeout: Duration,
) -> Result<(), ReplayError> {
    let resumed = vm.resume().await?;
    for fault in scenario.host_faults(vm.family()) {
        fault.apply(&resumed.vm).await?;
    }
    let mut timeline = Timeline::new(resumed.resumed_at);
    timeline.add_start("resumed: the engine may start", resumed.guest_uptime);
    let satisfied = wait(run, &resumed, timeout, &mut timeline).await?;
    run.waited = satisfied.unwrap_or_else(|| resumed.resumed_at.elapsed()).as_secs_f64();
    if let Some(at) = satisfied {
        let event = format!("wait strategy {} is satisfied", run.strategy);
        timeline.add_guest_event(event, resumed.guest_uptime + at);
        run_client(run, scenario, &resumed, &mut timeline).await?;
    } else {
        run.outcome = Outcome::NeverStarted;
    }
    add_guest_events(&mut timeline, &resumed).await?;
    // A client can be served once the engine listens and containerd, if it needs that, is active.
    let serves =
        timeline.time_of(units::ENGINE_SERVES).max(timeline.time_of(units::CONTAINERD_ACTIVE));
    let lag = serves.and_then(|serves| satisfied?.checked_sub(serves));
    run.lag = lag.map(|lag| lag.as_secs_f64());
    // Events from before the VM was paused are the same in every run.
    let events = timeline.events().iter();
    run.timeline =
        events.filter(|event| event.guest >= Some(resumed.guest_uptime)).cloned().collect();
    Ok(())
}

/// Adds the units that became active and the events in the journal.
async fn add_guest_events(timeline: &mut Timeline, resumed: &ResumedVm) -> Result<(), ReplayError> {
    let (mut agent, family) = (resumed.vm.agent(AGENT_TIMEOUT).await?, resumed.vm.family());
    let mut events = units::activations(&mut agent, family).await?;
    events.extend(units::journal_events(&mut agent, family).await?);
    for (event, guest) in events {
        timeline.add_guest_event(event, guest);
    }
    Ok(())
}

/// Waits as the run's strategy does. Returns the time from the VM's resumption until the strategy
/// was satisfied, or `None` if it timed out.
async fn wait(
    run: &mut Run,
    resumed: &ResumedVm,
    timeout: Duration,
    timeline: &mut Timeline,
) -> Result<Option<Duration>, ReplayError> {
    if run.strategy == WaitStrategy::Ready {
        return wait_until_ready(run, resumed, timeout, timeline).await;
    }
    let Some([kind, target]) = run.strategy.guest_arguments(resumed.vm.family()) else {
        return Ok(Some(Duration::ZERO));
    };
    let seconds = timeout.as_secs().to_string();
    let arguments = ["/usr/lib/seatrial/await", &seconds, kind, target];
    let mut agent = resumed.vm.agent(AGENT_TIMEOUT).await?;
    let output = agent.run("/usr/bin/perl", &arguments, timeout + AGENT_TIMEOUT).await?;
    match parse_seconds(&output.stdout) {
        Some(uptime) if output.success() => Ok(Some(uptime.saturating_sub(resumed.guest_uptime))),
        _ => {
            let message = format!("{} {}", output.stdout.trim(), output.stderr.trim());
            run.message = message.trim().to_owned();
            Ok(None)
        }
    }
}

/// Waits as seatrial itself does, from the host.
async fn wait_until_ready(
    run: &mut Run,
    resumed: &ResumedVm,
    timeout: Duration,
    timeline: &mut Timeline,
) -> Result<Option<Duration>, ReplayError> {
    match resumed.ready(timeout).await {
        Ok((_, conditions)) => {
            let at = resumed.resumed_at.elapsed();
            for event in conditions.events() {
                timeline.add_guest_event(&event.what, resumed.guest_uptime + event.at);
            }
            Ok(Some(at))
        }
        Err(error @ VmError::NotReady { .. }) => {
            run.message = errors::chain(&error);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs the client, and writes its outcome into `run`.
async fn run_client(
    run: &mut Run,
    scenario: &Scenario,
    resumed: &ResumedVm,
    timeline: &mut Timeline,
) -> Result<(), ReplayError> {
    let is_ready = run.strategy == WaitStrategy::Ready;
    let client = client::run(scenario, resumed, is_ready).await?;
    (run.outcome, run.message) = (client.outcome, client.message);
    run.took = client.took.as_secs_f64();
    if let Some(began) = client.began {
        timeline.add_guest_event("the client starts", began);
    }
    if let Some(ended) = client.ended {
        let failed = run.outcome == Outcome::Failed;
        let event = if failed { "the client has failed" } else { "the client has worked" };
        timeline.add_guest_event(event, ended);
    }
    Ok(())
}

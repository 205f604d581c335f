//! Results of a replay: one for each run of a client.

use serde::{Deserialize, Serialize};

use super::{Scenario, WaitStrategy};
use crate::engine::TimelineEvent;
use crate::vm::Guest;

/// The outcome of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The client got a correct answer.
    Worked,
    /// The client got a correct answer, but only after its timeout.
    Slow,
    /// The client got no answer within its timeout.
    Hung,
    /// The client got an error.
    Failed,
    /// The wait strategy was not satisfied within its timeout, so the client was not started.
    NeverStarted,
    /// The VM failed, so the outcome could not be determined.
    Error,
}

/// The result of one client that waited by one strategy.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The wait strategy.
    pub strategy: WaitStrategy,
    /// The outcome.
    pub outcome: Outcome,
    /// The seconds from the VM's resumption until the strategy was satisfied or timed out.
    pub waited: f64,
    /// The seconds that the client ran.
    pub took: f64,
    /// The client's error, or the last state that the strategy saw.
    pub message: String,
    /// The seconds from the moment at which the engine could serve clients until the strategy was
    /// satisfied. `None` if it was satisfied earlier, or not at all.
    pub lag: Option<f64>,
    /// The events since the VM's resumption.
    pub timeline: Vec<TimelineEvent>,
}

/// The results of a scenario on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// A link to an explanation of the scenario.
    pub link: Option<String>,
    /// The engine.
    pub engine: String,
    /// The wait strategies whose clients are known to fail or hang.
    pub breaks: Vec<WaitStrategy>,
    /// All runs, in order.
    pub runs: Vec<Run>,
}

impl Replay {
    /// A replay without runs.
    pub fn new(scenario: &Scenario, guest: &Guest) -> Self {
        Self {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            link: scenario.link.clone(),
            engine: guest.name.clone(),
            breaks: scenario.breaks(&guest.definition.family.name).to_vec(),
            runs: Vec::new(),
        }
    }

    /// The runs with a wait strategy.
    pub fn runs_with<'a>(&'a self, strategy: &'a WaitStrategy) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.strategy == *strategy)
    }

    /// The wait strategies of all runs, without duplicates, in order.
    pub fn strategies(&self) -> Vec<&WaitStrategy> {
        let mut strategies: Vec<&WaitStrategy> = Vec::new();
        for run in &self.runs {
            if !strategies.contains(&&run.strategy) {
                strategies.push(&run.strategy);
            }
        }
        strategies
    }

    /// Returns the runs whose outcome is not what the scenario says: a client that worked with one
    /// of the strategies of `breaks`, or did not work with another. Neither a slow client nor an
    /// engine that never became ready is a difference.
    pub fn differences(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| match run.outcome {
            Outcome::NeverStarted if run.strategy == WaitStrategy::Ready => false,
            Outcome::Worked => self.breaks.contains(&run.strategy),
            Outcome::Hung | Outcome::Failed | Outcome::NeverStarted => {
                !self.breaks.contains(&run.strategy)
            }
            Outcome::Slow | Outcome::Error => false,
        })
    }

    /// Whether `ready` was satisfied, but the client failed. That is an error of seatrial.
    pub fn ready_but_failed(&self) -> bool {
        self.runs_with(&WaitStrategy::Ready)
            .any(|run| matches!(run.outcome, Outcome::Hung | Outcome::Failed))
    }

    /// Whether a result is missing: a VM failed, or its engine never became ready.
    pub fn undetermined(&self) -> bool {
        let never_ready =
            |run: &Run| run.strategy == WaitStrategy::Ready && run.outcome == Outcome::NeverStarted;
        self.runs.iter().any(|run| run.outcome == Outcome::Error || never_ready(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(strategy: WaitStrategy, outcomes: &[Outcome]) -> Replay {
        let run = |outcome: &Outcome| Run {
            strategy: strategy.clone(),
            outcome: *outcome,
            waited: 0.0,
            took: 0.0,
            message: String::new(),
            lag: None,
            timeline: Vec::new(),
        };
        Replay {
            scenario: "original".to_owned(),
            title: String::new(),
            link: None,
            engine: "docker-20.10".to_owned(),
            breaks: vec![WaitStrategy::None],
            runs: outcomes.iter().map(run).collect(),
        }
    }

    #[test]
    fn an_outcome_that_the_scenario_does_not_expect_is_a_difference() {
        use Outcome::*;
        let differences = |strategy, outcomes: &[Outcome]| -> Vec<Outcome> {
            replay(strategy, outcomes).differences().map(|run| run.outcome).collect()
        };
        let all = [Worked, Slow, Hung, Failed, NeverStarted, Error];
        assert_eq!(differences(WaitStrategy::None, &all), [Worked]);
        assert_eq!(differences(WaitStrategy::Ping, &all), [Hung, Failed, NeverStarted]);
        assert_eq!(differences(WaitStrategy::Ready, &all), [Hung, Failed]);
    }

    #[test]
    fn only_a_client_that_fails_after_ready_was_reported_counts_against_ready() {
        use Outcome::*;
        assert!(replay(WaitStrategy::Ready, &[Worked, Hung]).ready_but_failed());
        assert!(replay(WaitStrategy::Ready, &[Failed]).ready_but_failed());
        let others = [Worked, Slow, NeverStarted, Error];
        assert!(!replay(WaitStrategy::Ready, &others).ready_but_failed());
        assert!(!replay(WaitStrategy::Ping, &[Hung, Failed]).ready_but_failed());
    }

    #[test]
    fn a_replay_is_undetermined_if_the_engine_never_became_ready() {
        use Outcome::*;
        assert!(replay(WaitStrategy::Ready, &[NeverStarted]).undetermined());
        assert!(!replay(WaitStrategy::Ping, &[NeverStarted]).undetermined());
        assert!(replay(WaitStrategy::Ping, &[Error]).undetermined());
    }
}

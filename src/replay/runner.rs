//! Runs a scenario, policy by policy. Nothing is printed here; who wants to know is told events.

use std::io::Seek;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ReplayError;
use super::{Scenario, WaitStrategy};
use crate::archive::Compression;
use crate::build::assemble::Output;
use crate::build::{CacheUse, Format, Options as BuildOptions, Recipe, assemble, plan};
use crate::engine::{Timeline, TimelineEvent};
use crate::errors;
use crate::vm::AcceleratorChoice;
use crate::vm::ResumedVm;
use crate::vm::instance::units;
use crate::vm::{Guest, PausedVm};

/// How a scenario is replayed.
#[derive(Clone, Debug)]
pub struct Options {
    /// The policies, in order; where there are none, [all](WaitStrategy::all).
    pub policies: Vec<WaitStrategy>,
    /// How often each.
    pub runs: usize,
    /// How long a policy may wait.
    pub patience: Duration,
    /// How the machines' CPUs are run.
    pub accelerator: AcceleratorChoice,
}

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It got what it wanted.
    Worked,
    /// It had no answer by its deadline.
    Hung,
    /// It was told an error.
    Failed,
    /// What it waited for did not come, so it was never started.
    NeverStarted,
    /// The machine failed; nothing was found out.
    Error,
}

/// One client that waited in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// How it waited.
    pub policy: WaitStrategy,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it waited, in seconds since the machine was let go.
    pub waited: f64,
    /// How long it took then, in seconds.
    pub took: f64,
    /// What it was told, or what was seen last.
    pub said: String,
    /// How long after the engine could serve a client the policy was content, in seconds; only where it was after.
    pub late: Option<f64>,
    /// What was true when, since the machine was let go.
    pub timeline: Vec<TimelineEvent>,
}

/// A scenario that was replayed on an engine.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// The scenario's name.
    pub scenario: String,
    /// What it is about.
    pub title: String,
    /// Where it is explained.
    pub explained: Option<String>,
    /// The engine.
    pub engine: String,
    /// Every run, in order.
    pub runs: Vec<Run>,
}

impl Replay {
    /// One that has not begun.
    pub fn of_none(scenario: &Scenario, guest: &Guest) -> Self {
        Self {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            explained: scenario.explained.clone(),
            engine: guest.name.clone(),
            runs: Vec::new(),
        }
    }

    /// The runs with one policy.
    pub fn of<'a>(&'a self, policy: &'a WaitStrategy) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.policy == *policy)
    }

    /// The policies, each once, in order.
    pub fn policies(&self) -> Vec<&WaitStrategy> {
        let mut policies: Vec<&WaitStrategy> = Vec::new();
        for run in &self.runs {
            if !policies.contains(&&run.policy) {
                policies.push(&run.policy);
            }
        }
        policies
    }

    /// Whether our own policy was content and its client failed: what must never be.
    pub fn broken_promise(&self) -> bool {
        self.of(&WaitStrategy::Ready)
            .any(|run| matches!(run.outcome, Outcome::Hung | Outcome::Failed))
    }

    /// Whether something was not found out.
    pub fn unknown(&self) -> bool {
        let unready =
            |run: &Run| run.policy == WaitStrategy::Ready && run.outcome == Outcome::NeverStarted;
        self.runs.iter().any(|run| run.outcome == Outcome::Error || unready(run))
    }
}

/// What is told while a scenario is replayed.
#[derive(Debug)]
pub enum Event<'a> {
    /// Something that takes a while begins.
    Doing(String),
    /// A run has ended.
    Run(&'a Run),
}

/// Replays `scenario` on the engine of `guest`. Each run is told as it ends.
///
/// # Errors
/// When no machine can be had. What fails later is an outcome.
pub async fn replay(
    scenario: &Scenario,
    guest: &Guest,
    options: &Options,
    tell: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<(), ReplayError> {
    tell(Event::Doing(format!(
        "{}: booting {} up to where its engine would start",
        scenario.name, guest.name
    )));
    let image = tokio::task::spawn_blocking(image).await;
    let image = image.map_err(|e| crate::engine::EngineError::Unexpected(e.to_string()))??;
    let held = PausedVm::boot(
        guest,
        options.accelerator,
        scenario.overlay(&guest.definition.family, image),
    )
    .await?;
    let all = WaitStrategy::all(&guest.definition.family.start.service);
    let policies = if options.policies.is_empty() { &all } else { &options.policies };
    for number in 1..=options.runs {
        for policy in policies {
            tell(Event::Doing(format!(
                "{}: {policy}, {number} of {}",
                scenario.name, options.runs
            )));
            let run = run(scenario, &held, policy, options.patience).await;
            tell(Event::Run(&run));
        }
    }
    Ok(())
}

/// The image that clients load, as an archive: nothing but a config; the program comes from the guest.
fn image() -> Result<Vec<u8>, ReplayError> {
    let recipe =
        Recipe::parse("client.toml".as_ref(), "name = \"seatrial/client\"\ntag = \"1\"\n")?;
    let mut file = tempfile::tempfile().map_err(written)?;
    let options = BuildOptions {
        format: Format::Docker,
        compression: Compression::None,
        threads: 1,
        cache: CacheUse::Off,
    };
    assemble(&plan(recipe, 1)?, options, Output::File(&file), &mut |_| ())?;
    let mut archive = Vec::new();
    file.rewind()
        .and_then(|()| std::io::Read::read_to_end(&mut file, &mut archive))
        .map_err(written)?;
    Ok(archive)
}

fn written(source: std::io::Error) -> crate::archive::ArchiveError {
    crate::archive::ArchiveError::Write { target: "the client's image".to_owned(), source }
}

async fn run(
    scenario: &Scenario,
    held: &PausedVm,
    policy: &WaitStrategy,
    patience: Duration,
) -> Run {
    let mut run = Run {
        policy: policy.clone(),
        outcome: Outcome::Error,
        waited: 0.0,
        took: 0.0,
        said: String::new(),
        late: None,
        timeline: Vec::new(),
    };
    if let Err(error) = fill(&mut run, scenario, held, patience).await {
        (run.outcome, run.said) = (Outcome::Error, errors::chain(&error));
    }
    run
}

async fn fill(
    run: &mut Run,
    scenario: &Scenario,
    held: &PausedVm,
    patience: Duration,
) -> Result<(), ReplayError> {
    let released = held.resume().await?;
    for fault in scenario.outside(held.family()) {
        fault.inflict(&released.vm).await?;
    }
    let mut timeline = Timeline::new(released.resumed_at);
    timeline.add_start("let go: the engine may start", released.guest_uptime);
    let content = wait(run, &released, patience, &mut timeline).await?;
    run.waited = content.map_or(released.resumed_at.elapsed().as_secs_f64(), |at| at.as_secs_f64());
    if let Some(at) = content {
        timeline.add_guest_event(format!("{} is content", run.policy), released.guest_uptime + at);
        client(run, scenario, &released, &mut timeline).await?;
    } else {
        run.outcome = Outcome::NeverStarted;
    }
    let mut agent = released.vm.agent(ANSWER).await?;
    for (event, guest) in units::activations(&mut agent, released.vm.family()).await? {
        timeline.add_guest_event(event, guest);
    }
    for (event, guest) in units::journal_events(&mut agent, released.vm.family()).await? {
        timeline.add_guest_event(event, guest);
    }
    // The first moment at which a client could have been served: the engine listens, and what it depends on is there.
    let serves =
        timeline.time_of(units::ENGINE_SERVES).max(timeline.time_of(units::CONTAINERD_ACTIVE));
    run.late =
        serves.and_then(|serves| content?.checked_sub(serves)).map(|late| late.as_secs_f64());
    // What has no part in it: when the machine was let go all of that was there.
    run.timeline = timeline
        .events()
        .iter()
        .filter(|event| event.guest >= Some(released.guest_uptime))
        .cloned()
        .collect();
    Ok(())
}

/// How long the guest may take over an answer; a slow machine's takes longer.
const ANSWER: Duration = Duration::from_secs(30);

/// Waits as the run's policy does; gives when that was content, if it was.
async fn wait(
    run: &mut Run,
    released: &ResumedVm,
    patience: Duration,
    timeline: &mut Timeline,
) -> Result<Option<Duration>, ReplayError> {
    if run.policy == WaitStrategy::Ready {
        match released.ready(patience).await {
            Ok((_, ready)) => {
                let at = released.resumed_at.elapsed();
                for event in ready.events() {
                    timeline.add_guest_event(&event.what, released.guest_uptime + event.at);
                }
                return Ok(Some(at));
            }
            Err(error @ crate::vm::VmError::NotReady { .. }) => {
                run.said = errors::chain(&error);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let Some([what, of]) = run.policy.words(released.vm.family()) else {
        return Ok(Some(Duration::ZERO));
    };
    let seconds = patience.as_secs().to_string();
    let program = ["/usr/lib/seatrial/await", &seconds, what, of];
    let mut agent = released.vm.agent(ANSWER).await?;
    let waited = agent.run("/usr/bin/perl", &program, patience + ANSWER).await?;
    match waited
        .stdout
        .trim()
        .parse::<f64>()
        .ok()
        .and_then(|at| Duration::try_from_secs_f64(at).ok())
    {
        Some(at) if waited.success() => Ok(Some(at.saturating_sub(released.guest_uptime))),
        _ => {
            run.said =
                format!("{} {}", waited.stdout.trim(), waited.stderr.trim()).trim().to_owned();
            Ok(None)
        }
    }
}

/// Has the client do what it does, and says what became of it.
async fn client(
    run: &mut Run,
    scenario: &Scenario,
    released: &ResumedVm,
    timeline: &mut Timeline,
) -> Result<(), ReplayError> {
    let within = scenario.client.within;
    let does = serde_json::to_value(scenario.client.does).unwrap_or_default();
    let seconds = within.to_string();
    let (engine, does) = (&released.vm.family().name, does.as_str().unwrap_or_default());
    let words = ["-s", "KILL", &seconds, "/bin/sh", "/usr/lib/seatrial/client", engine, does];
    let mut agent = released.vm.agent(ANSWER).await?;
    let started = Instant::now();
    let output =
        agent.run("/usr/bin/timeout", &words, Duration::from_secs(within) + ANSWER).await?;
    let stamp = |word: &str| -> Option<Duration> {
        let at =
            output.stdout.lines().find_map(|line| line.strip_prefix(word))?.trim().parse().ok()?;
        Duration::try_from_secs_f64(at).ok()
    };
    let (began, ended) = (stamp("began"), stamp("ended"));
    run.took = match (began, ended) {
        (Some(began), Some(ended)) => ended.saturating_sub(began).as_secs_f64(),
        _ => started.elapsed().as_secs_f64(),
    };
    (run.outcome, run.said) = match (output.success(), ended) {
        (true, _) => (Outcome::Worked, String::new()),
        // It was killed before it could say that it had ended.
        (false, None) => (Outcome::Hung, format!("no answer within {within} s")),
        (false, Some(_)) => (Outcome::Failed, line(&output.stderr)),
    };
    if let Some(began) = began {
        timeline.add_guest_event("the client begins", began);
    }
    if let Some(ended) = ended {
        let how = if run.outcome == Outcome::Worked {
            "the client has what it wanted"
        } else {
            "the client failed"
        };
        timeline.add_guest_event(how, ended);
    }
    Ok(())
}

/// The line of an error that says most: the first that is not empty.
fn line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("nothing was said")
        .to_owned()
}

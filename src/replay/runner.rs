//! Replays a scenario: boots one VM, then resumes it for each run with each wait strategy.

use std::io::{Read, Seek};
use std::time::Duration;

use super::{ReplayError, Run, Scenario, WaitStrategy, run};
use crate::archive::{ArchiveError, Compression};
use crate::build::{CacheUse, Format, Options as BuildOptions, Output, Outputs, Recipe};
use crate::build::{assemble, plan};
use crate::engine::EngineError;
use crate::vm::{AcceleratorChoice, Guest, PausedVm};

/// Options for a replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// The wait strategies, in order. If there are none, [all](WaitStrategy::all) are used.
    pub strategies: Vec<WaitStrategy>,
    /// The number of runs with each strategy.
    pub runs: usize,
    /// The timeout of a wait strategy.
    pub timeout: Duration,
    /// The accelerator of the VMs.
    pub accelerator: AcceleratorChoice,
}

/// An event while a scenario is replayed.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step that takes a while has started.
    Progress(String),
    /// A run has ended.
    Finished(&'a Run),
}

/// Replays `scenario` on the engine of `guest`, and reports each run when it ends.
///
/// # Errors
/// If no VM can be started. Later failures are outcomes of a run.
pub async fn replay(
    scenario: &Scenario,
    guest: &Guest,
    options: &Options,
    report: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<(), ReplayError> {
    let (name, family) = (&scenario.name, &guest.definition.family);
    report(Event::Progress(format!("{name}: booting {}, without its engine", guest.name)));
    let image = tokio::task::spawn_blocking(client_image).await;
    let image = image.map_err(|error| EngineError::Unexpected(error.to_string()))??;
    let changes = scenario.guest_changes(family, image);
    let vm = PausedVm::boot(guest, options.accelerator, changes).await?;
    let all = WaitStrategy::all(&family.start.service);
    let strategies = if options.strategies.is_empty() { &all } else { &options.strategies };
    for number in 1..=options.runs {
        for strategy in strategies {
            let of = if options.runs > 1 {
                format!(", run {number} of {}", options.runs)
            } else {
                String::new()
            };
            report(Event::Progress(format!("{name}: {strategy}{of}")));
            let run = run::run(scenario, &vm, strategy, options.timeout).await;
            report(Event::Finished(&run));
        }
    }
    Ok(())
}

/// Returns the archive of the image that clients load. It has no files: the program that a client
/// runs comes from the guest.
fn client_image() -> Result<Vec<u8>, ReplayError> {
    let recipe =
        Recipe::parse("client.toml".as_ref(), "name = \"seatrial/client\"\ntag = \"1\"\n")?;
    let options = BuildOptions {
        format: Format::Docker,
        compression: Compression::None,
        threads: 1,
        cache: CacheUse::Off,
    };
    let io_error = |source| ArchiveError::Write { target: "the client's image".to_owned(), source };
    let mut file = tempfile::tempfile().map_err(io_error)?;
    assemble(&plan(recipe, &Outputs::default(), 1)?, options, Output::File(&file), &mut |_| ())?;
    let mut archive = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut archive)).map_err(io_error)?;
    Ok(archive)
}

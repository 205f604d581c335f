//! The VM of steps, and the thread that it belongs to.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use futures_util::stream;
use tokio::sync::oneshot;

use super::engine::{Image, StepEngine};
use super::message::Message;
use crate::archive::ArchiveError;
use crate::engine::step::{StepContainer, StepOptions};
use crate::engine::{Docker, EngineError};
use crate::harness::{Daemon, HarnessError};
use crate::steps::{Step, StepError, TAR_OPTIONS};

/// A step to run.
pub(super) struct Request {
    pub(super) image: Image,
    pub(super) inputs: Option<File>,
    pub(super) step: Step,
    pub(super) messages: Sender<Message>,
    /// Ends the step, and the VM, when its sender is dropped.
    pub(super) cancelled: oneshot::Receiver<()>,
}

/// The name of the tar with the changes, in the root of the step's container.
const CHANGES: &str = ".seatrial-changes.tar";
/// The time limit for the guest to pack the changes.
const PACK_TIMEOUT: Duration = Duration::from_secs(1800);
/// The size of chunks in which inputs are sent.
const CHUNK_SIZE: usize = 256 << 10;
/// The most bytes of a line; a longer one is cut into several.
const LINE_MAX: usize = 16 << 10;

/// Runs the steps of `requests` in a VM until the sender is dropped.
pub(super) fn serve(guest: &str, network: bool, requests: &Receiver<Request>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let mut engine = StepEngine::new(guest, network);
    for request in requests {
        let Request { mut image, inputs, step, messages, cancelled } = request;
        let result = match &runtime {
            Ok(runtime) => runtime.block_on(async {
                let run = async {
                    let (daemon, name) = engine.with_image(&mut image, &messages).await?;
                    run(daemon, name, inputs, &step, &messages).await
                };
                tokio::select! {
                    result = run => result,
                    _ = cancelled => {
                        Err(EngineError::Unexpected("the step was cancelled".to_owned()).into())
                    }
                }
            }),
            Err(error) => Err(EngineError::Unexpected(error.to_string()).into()),
        };
        let result = result.map_err(|error: HarnessError| step_error(guest, &step, error));
        let _ = messages.send(Message::Done(result));
    }
    if let Ok(runtime) = runtime {
        let entered = runtime.enter();
        drop(engine);
        drop(entered);
        runtime.shutdown_background();
    }
}

fn step_error(guest: &str, step: &Step, error: HarnessError) -> StepError {
    match error {
        HarnessError::Engine(EngineError::Start(problem)) => {
            let problem = format!("it does not start: {problem}");
            StepError::Invalid { step: step.title(), problem }
        }
        error => StepError::Vm {
            guest: guest.to_owned(),
            is_environment: error.is_environment(),
            source: Box::new(error),
        },
    }
}

/// Runs `step` in a container of `image`.
async fn run(
    daemon: &Daemon,
    image: String,
    inputs: Option<File>,
    step: &Step,
    messages: &Sender<Message>,
) -> Result<File, HarnessError> {
    let docker = daemon.docker().ok_or_else(|| {
        EngineError::Unexpected("the guest does not have Docker's API".to_owned())
    })?;
    let container = create(docker, image, step).await?;
    if let Some(inputs) = inputs {
        container.upload(chunks(inputs)).await?;
    }
    let _ = messages.send(Message::Begin);
    container.start().await?;
    let mut line = Vec::new();
    let code = container.wait(|bytes| print(bytes, &mut line, messages)).await?;
    if !line.is_empty() {
        let _ = messages.send(Message::Line(String::from_utf8_lossy(&line).into_owned()));
    }
    let _ = messages.send(Message::Ended(code));
    let tar = changes(daemon, &container, step).await?;
    container.remove().await?;
    Ok(tar)
}

async fn create(docker: &Docker, image: String, step: &Step) -> Result<StepContainer, EngineError> {
    let options = StepOptions {
        image,
        args: step.args.clone(),
        env: step.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        user: step.user.clone(),
        workdir: step.workdir.clone(),
        network: step.network,
    };
    docker.create_step(options).await
}

/// Sends the complete lines of `bytes`, and keeps the rest in `line`.
fn print(bytes: &[u8], line: &mut Vec<u8>, messages: &Sender<Message>) {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        line.extend_from_slice(part);
        if line.ends_with(b"\n") || line.len() > LINE_MAX {
            let text = String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned();
            let _ = messages.send(Message::Line(text));
            line.clear();
        }
    }
}

/// The bytes of `file` as a stream.
fn chunks(
    file: File,
) -> impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static {
    stream::unfold(file, |mut file| async {
        let mut chunk = vec![0; CHUNK_SIZE];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(count) => {
                chunk.truncate(count);
                Some((Ok(chunk.into()), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    })
}

/// Reads what the command changed, but for the inputs. The engine's API can read files of a
/// container only, so the guest puts the tar there.
async fn changes(
    daemon: &Daemon,
    container: &StepContainer,
    step: &Step,
) -> Result<File, HarnessError> {
    let folder = container.changes_folder().await?;
    let mut arguments = TAR_OPTIONS.map(str::to_owned).to_vec();
    for input in &step.inputs {
        arguments.push(format!("--exclude=./{}", input.target));
    }
    let tar = format!("{folder}/../{CHANGES}");
    arguments.extend(["--anchored", "--no-wildcards", "-C", &folder].map(str::to_owned));
    arguments.extend(["--file", &tar, "."].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for (program, arguments) in [("tar", &*arguments), ("mv", &[&*tar, &*folder])] {
        let output = daemon.guest_run(program, arguments, PACK_TIMEOUT).await?;
        if !output.success() {
            let problem = format!("{program} failed in the guest: {}", output.stderr.trim());
            return Err(EngineError::Unexpected(problem).into());
        }
    }
    let mut file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    container.download(&format!("/{CHANGES}"), &mut file).await?;
    file.rewind().map_err(ArchiveError::temporary_file)?;
    Ok(file)
}

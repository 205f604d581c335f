//! Commands with standard input as it comes, or on a terminal.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{JoinHandle, block_in_place};

use super::args::Args;
use super::print::{self, Printer};
use super::signals::{EndingSignals, next};
use super::terminal::{RawTerminal, window_size};
use crate::cli::exit::{ExitWith, UsageError};
use crate::cli::runtime::block_on;
use crate::cli::streams::{raw_stderr, raw_stdout};
use crate::vm::instance::{
    SessionEvent, SessionInput, SessionOutput, SessionRequest, SessionStatus,
};
use crate::vm::{NamedVm, VmError};

/// The most bytes of standard input that are sent at once.
const INPUT_CHUNK: usize = 1 << 16;
/// How long a command that is no longer wanted may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a write to a terminal or a pipe may take at the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args, vm: &NamedVm) -> anyhow::Result<()> {
    if args.tty && args.interactive && !io::stdin().is_terminal() {
        let problem = "standard input is not a terminal, which -t with -i needs; omit -t";
        return Err(UsageError(problem).into());
    }
    let status = match block_on(run_session(args, vm)) {
        Ok(status) => status,
        Err(error) => match error.downcast_ref() {
            Some(error @ VmError::GuestProgram { .. }) => {
                return Err(print::not_started(error)?.into());
            }
            _ => return Err(error),
        },
    };
    match status.shell_code() {
        0 => Ok(()),
        code => Err(ExitWith(code).into()),
    }
}

/// Runs the command until it ends. If this ends before, the command gets SIGHUP.
async fn run_session(args: &Args, vm: &NamedVm) -> anyhow::Result<SessionStatus> {
    let mut ending = EndingSignals::catch()?;
    let window = args.tty.then(|| signal(SignalKind::window_change())).transpose()?;
    let mut starting = pin!(start(args, vm));
    let (input, output) = tokio::select! {
        started = &mut starting => started?,
        code = ending.recv() => {
            // Until the command has started, QEMU forwards a port to it.
            tokio::select! {
                _ = starting => {}
                _ = ending.recv() => {}
                () = tokio::time::sleep(START_TIMEOUT) => {}
            }
            return Err(code.into());
        }
    };
    // Without a terminal, Ctrl-C is for the command from now on.
    let interrupt = if args.tty { None } else { ending.interrupt.take() };
    let stdin = args.interactive.then(read_stdin);
    let raw = (args.tty && args.interactive).then(RawTerminal::enter).transpose()?;
    let input_taken = Arc::new(Semaphore::new(1));
    let sender = Sender { input, stdin, input_taken: input_taken.clone(), window, interrupt };
    let mut print = tokio::spawn(print_output(output, args.tty, input_taken));
    let error = tokio::select! {
        status = &mut print => return status?,
        never = send_input(sender) => match never {},
        code = ending.recv() => code.into(),
        () = limit(args.timeout) => still_running(args),
    };
    // Nothing may write to the terminal after it is restored.
    let has_stopped = stop(print).await;
    drop(raw);
    // Without a reader of the output, the message may have none either.
    let is_lost = !has_stopped && !error.is::<ExitWith>() && !is_writable(&raw_stderr());
    Err(if is_lost { ExitWith::ENVIRONMENT.into() } else { error })
}

async fn start(args: &Args, vm: &NamedVm) -> anyhow::Result<(SessionInput, SessionOutput)> {
    let vm = vm.open()?;
    let terminal = args.tty.then(window_size);
    let name = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let mut environment = vec![("HOME", "/root")];
    environment.extend(args.tty.then_some(("TERM", name.as_str())));
    let request = SessionRequest { words: &args.command, environment: &environment, terminal };
    Ok(vm.start_session(&request).await?)
}

fn still_running(args: &Args) -> anyhow::Error {
    let limit = Duration::from_secs(args.timeout.unwrap_or_default());
    VmError::StillRunning { command: args.command.join(" "), limit }.into()
}

async fn limit(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => pending().await,
    }
}

/// Prints output as it comes, until the command ends. Writing to a terminal or a pipe can block, so
/// this must be a task of its own.
async fn print_output(
    mut output: SessionOutput,
    on_terminal: bool,
    input_taken: Arc<Semaphore>,
) -> anyhow::Result<SessionStatus> {
    // The output of a terminal is for a terminal.
    let mut stdout = match on_terminal {
        true => Printer::exact(raw_stdout()),
        false => Printer::new(raw_stdout()),
    };
    let mut stderr = Printer::new(raw_stderr());
    loop {
        // While a write blocks, other tasks, timers and signals continue.
        match output.next().await? {
            SessionEvent::Stdout(bytes) => block_in_place(|| stdout.print(&bytes))?,
            SessionEvent::Stderr(bytes) => block_in_place(|| stderr.print(&bytes))?,
            // Reports without input before them do not add up.
            SessionEvent::InputTaken if input_taken.available_permits() > 0 => {}
            SessionEvent::InputTaken => input_taken.add_permits(1),
            SessionEvent::Ended(status) => {
                block_in_place(|| stdout.finish().and_then(|()| stderr.finish()))?;
                return Ok(status);
            }
        }
    }
}

/// Ends the task that prints. Returns whether it has ended: a write that blocks cannot be ended.
async fn stop(print: JoinHandle<anyhow::Result<SessionStatus>>) -> bool {
    print.abort();
    tokio::time::timeout(STOP_TIMEOUT, print).await.is_ok()
}

/// Whether a short message can be written without waiting for its reader.
fn is_writable(stream: &impl AsFd) -> bool {
    let mut streams = [PollFd::new(stream, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut streams, Some(&now)).is_ok_and(|count| count > 0)
}

/// Everything that is sent to the command.
struct Sender {
    input: SessionInput,
    /// Standard input, if it is passed.
    stdin: Option<Receiver<Vec<u8>>>,
    /// Has a permit when the command can get more input.
    input_taken: Arc<Semaphore>,
    /// Changes of the terminal's size, if the command has a terminal.
    window: Option<Signal>,
    /// Ctrl-C, if it is passed.
    interrupt: Option<Signal>,
}

/// Passes standard input, the size of the terminal and Ctrl-C on. If the connection is lost, the
/// output reports why.
async fn send_input(mut sender: Sender) -> Infallible {
    loop {
        let sent = tokio::select! {
            chunk = next_chunk(&mut sender.stdin, &sender.input_taken) => match chunk {
                Some(chunk) => sender.input.send(&chunk).await,
                None => {
                    sender.stdin = None;
                    sender.input.end().await
                }
            },
            () = next(&mut sender.window) => sender.input.resize(window_size()).await,
            () = next(&mut sender.interrupt) => {
                sender.input.signal(SignalKind::interrupt().as_raw_value()).await
            }
        };
        if sent.is_err() {
            return pending().await;
        }
    }
}

/// Waits for standard input that can be sent; forever, if none is passed.
async fn next_chunk(
    stdin: &mut Option<Receiver<Vec<u8>>>,
    input_taken: &Semaphore,
) -> Option<Vec<u8>> {
    let Some(stdin) = stdin else { return pending().await };
    let permit = input_taken.acquire().await.ok();
    let chunk = stdin.recv().await;
    // If this is dropped before something was read, the permit is still there.
    if let Some(permit) = permit {
        permit.forget();
    }
    chunk
}

/// Reads standard input on a thread, because a read cannot be ended.
fn read_stdin() -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut buffer = vec![0; INPUT_CHUNK];
        loop {
            match io::stdin().read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
    receiver
}

//! Commands with standard input as it comes, or on a terminal.

use std::future::pending;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Receiver};

use super::args::Args;
use super::print;
use super::terminal::{RawTerminal, window_size};
use crate::cli::exit::{ExitWith, UsageError};
use crate::cli::runtime::{Hangup, block_on};
use crate::cli::streams::{raw_stderr, raw_stdout};
use crate::vm::instance::{
    SessionEvent, SessionInput, SessionOutput, SessionRequest, SessionStatus,
};
use crate::vm::{NamedVm, VmError};

/// The most bytes of standard input that are sent at once.
const INPUT_CHUNK: usize = 1 << 16;

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
    let signals = Signals::catch()?;
    let vm = vm.open()?;
    let terminal = args.tty.then(window_size);
    let name = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let mut environment = vec![("HOME", "/root")];
    environment.extend(args.tty.then_some(("TERM", name.as_str())));
    let request = SessionRequest { words: &args.command, environment: &environment, terminal };
    let (input, output) = vm.start_session(&request).await?;
    let stdin = args.interactive.then(read_stdin);
    let _raw = (args.tty && args.interactive).then(RawTerminal::enter).transpose()?;
    let input_taken = Arc::new(Semaphore::new(1));
    // A task of its own, because writing to a terminal or a pipe can block.
    let print = tokio::spawn(print_output(output, args.tty, input_taken.clone()));
    tokio::select! {
        status = print => status?,
        error = send_input(Sender { input, stdin, input_taken, on_terminal: args.tty }, signals) =>
            Err(error.into()),
        () = limit(args.timeout) => {
            let problem = format!("still running after {} s", args.timeout.unwrap_or_default());
            let command = args.command.join(" ");
            Err(VmError::Command { peer: "the guest", command, problem }.into())
        }
    }
}

async fn limit(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => pending().await,
    }
}

/// Prints output as it comes, until the command ends.
async fn print_output(
    mut output: SessionOutput,
    on_terminal: bool,
    input_taken: Arc<Semaphore>,
) -> anyhow::Result<SessionStatus> {
    loop {
        match output.next().await? {
            // The output of a terminal is for a terminal.
            SessionEvent::Stdout(bytes) if on_terminal => raw_stdout().write_all(&bytes)?,
            SessionEvent::Stdout(bytes) => print::output(raw_stdout(), &bytes)?,
            SessionEvent::Stderr(bytes) => print::output(raw_stderr(), &bytes)?,
            SessionEvent::InputTaken => input_taken.add_permits(1),
            SessionEvent::Ended(status) => return Ok(status),
        }
        raw_stdout().flush()?;
    }
}

/// The signals of this process while a command runs.
struct Signals {
    window: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Hangup,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            window: signal(SignalKind::window_change())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: Hangup::catch()?,
        })
    }
}

/// Everything that is sent to the command.
struct Sender {
    input: SessionInput,
    /// Standard input, if it is passed.
    stdin: Option<Receiver<Vec<u8>>>,
    /// Has a permit when the command can get more input.
    input_taken: Arc<Semaphore>,
    on_terminal: bool,
}

/// Passes standard input, the size of the terminal and Ctrl-C on, until a signal ends this process.
/// If the connection is lost, the output reports why.
async fn send_input(mut sender: Sender, mut signals: Signals) -> ExitWith {
    loop {
        let sent = tokio::select! {
            chunk = next_chunk(&mut sender.stdin, &sender.input_taken) => match chunk {
                Some(chunk) => sender.input.send(&chunk).await,
                None => {
                    sender.stdin = None;
                    sender.input.end().await
                }
            },
            _ = signals.window.recv() => match sender.on_terminal {
                true => sender.input.resize(window_size()).await,
                false => Ok(()),
            },
            _ = signals.interrupt.recv() => match sender.on_terminal {
                true => return ExitWith::INTERRUPTED,
                false => sender.input.signal(SignalKind::interrupt().as_raw_value()).await,
            },
            _ = signals.quit.recv() => return ExitWith::QUIT,
            _ = signals.terminate.recv() => return ExitWith::TERMINATED,
            () = signals.hangup.recv() => return ExitWith::HUNG_UP,
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

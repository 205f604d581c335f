//! Runs the sandbox of a step, and answers the system calls of its processes.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::base::Special;
use super::calls::State;
use super::credentials::AllCredentials;
use super::files::Files;
use super::notifications::{Answer, Call, Listener};
use super::process::Process;
use super::{BASE, RECORDED, filter, linux};

/// Runs `program` with `arguments`, a sandbox that has the image at the path `prefix`, and records
/// the owners that its processes set. The working directory is the working folder of the step.
///
/// # Errors
/// If the program cannot be started, if Linux does not let this process answer system calls, or if
/// the owners cannot be written.
pub fn supervise(prefix: &str, program: &str, arguments: &[String]) -> io::Result<ExitStatus> {
    let (work, upper) = (std::env::current_dir()?, Path::new("upper").canonicalize()?);
    let base = match fs::read(BASE) {
        Ok(bytes) => Special::read(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let files = Files::open(&upper, prefix.as_bytes(), base)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let processes = open("/proc", flags, Mode::empty())?;
    // Nothing is set yet, whatever this process has inherited.
    linux::set_inherited(std::process::id(), None)?;
    let filter = filter::program(files.has_base())?;
    let mut command = Command::new(program);
    command.args(arguments);
    let (mut child, listener) = Listener::spawn(&mut command, filter)?;
    let mut state = State { files, credentials: AllCredentials::default() };
    answer_all(&listener, &processes, &mut state)?;
    state.files.leave_root()?;
    let owners = state.files.changed_owners(&upper)?;
    fs::write(work.join(RECORDED), owners)?;
    child.wait()
}

/// Answers system calls until the last process has ended.
fn answer_all(listener: &Listener, processes: &OwnedFd, state: &mut State) -> io::Result<()> {
    loop {
        let mut descriptors = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut descriptors, None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        let events = descriptors[0].revents();
        if events.contains(PollFlags::IN) {
            if let Some(call) = listener.receive()? {
                let answer = answer(listener, processes, state, &call);
                listener.answer(&call, answer)?;
            }
        } else if events.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Ok(());
        }
    }
}

fn answer(
    listener: &Listener,
    processes: &OwnedFd,
    state: &mut State,
    call: &Call,
) -> Result<Answer, Errno> {
    let process = Process::new(processes, call.pid)?;
    // Otherwise it has ended, and the folder is that of another process.
    if !listener.waits(call) {
        return Err(Errno::SRCH);
    }
    state.answer(call, &process)
}

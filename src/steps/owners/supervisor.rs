//! Runs the sandbox of a step, and answers the system calls of its processes.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{WaitOptions, getpid, set_child_subreaper, umask, wait};

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
    linux::set_inherited(std::process::id(), None)
        .map_err(|error| io::Error::other(format!("prlimit of RLIMIT_RTTIME failed: {error}")))?;
    let filter = filter::program(files.has_base())?;
    let mut command = Command::new(program);
    command.args(arguments);
    // Orphans of the sandbox become children of this process.
    set_child_subreaper(Some(getpid()))?;
    let (child, listener) = Listener::spawn(&mut command, filter)?;
    let reaper = thread::spawn(move || reap_all(child.id()));
    let mut state = State { files, credentials: AllCredentials::default() };
    answer_all(&listener, &processes, &mut state)?;
    state.files.leave_root()?;
    let owners = state.files.changed_owners(&upper)?;
    // The mask is that of a process of the step.
    umask(Mode::RWXG | Mode::RWXO);
    fs::write(work.join(RECORDED), owners)?;
    reaper.join().map_err(|_| io::Error::other("the thread that reaps processes has panicked"))?
}

/// Reaps all children of this process, and returns the status of `child`. From Linux 5.9 to 6.10, a
/// process gives its filter back only when it is reaped; until then, the listener does not end.
fn reap_all(child: u32) -> io::Result<ExitStatus> {
    let mut status = None;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, ended))) if pid.as_raw_nonzero().get().unsigned_abs() == child => {
                status = Some(ExitStatus::from_raw(ended.as_raw()));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return status.ok_or_else(|| Errno::CHILD.into()),
            Err(error) => return Err(error.into()),
        }
    }
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

//! The program on a pseudo-terminal, as a user has it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::workbench::RUN_TIMEOUT;

pub struct PseudoTerminal {
    /// The side of the terminal's user, who types and reads.
    user: File,
    /// The side of the program.
    program: File,
    child: Child,
    output: Receiver<Vec<u8>>,
    /// Output that was not expected yet.
    seen: String,
}

impl PseudoTerminal {
    /// Runs the program with `arguments` in the foreground of a terminal.
    pub fn run(arguments: &[&str], rows: u16, columns: u16) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let path = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
        let open = || File::options().read(true).write(true).open(Path::new(&path)).unwrap();
        let user = File::from(user);
        let program = open();
        set_size(&user, rows, columns);
        // Makes the terminal the one whose keys send signals, and becomes the program. The program
        // is not to ignore SIGHUP, even if the tests run under nohup.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", "setsid", "--ctty"]);
        command.arg(env!("CARGO_BIN_EXE_seatrial")).args(arguments);
        let child = command.env("TERM", "xterm").stdin(open()).stdout(open()).stderr(open());
        let child = child.spawn().unwrap();
        let (sender, output) = channel();
        let mut reader = user.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { user, program, child, output, seen: String::new() }
    }

    /// Types `text`.
    pub fn type_text(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the program has written `text`, and skips everything up to its end.
    pub fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + RUN_TIMEOUT;
        loop {
            if let Some((_, rest)) = self.seen.split_once(text) {
                self.seen = rest.to_owned();
                return;
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("not written in time: {text:?}; written: {:?}", self.seen)
                }
                Err(error) => panic!("{error}: {text:?}; written: {:?}", self.seen),
            }
        }
    }

    /// Changes the size of the terminal, as a window manager does.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.user, rows, columns);
    }

    /// The settings of the terminal.
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.program).unwrap()
    }

    /// Sends a signal to the program.
    pub fn kill(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program ends, and returns its exit code.
    pub fn exit_code(&mut self) -> i32 {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let limit = Timespec::try_from(RUN_TIMEOUT).unwrap();
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ended, 1, "still running; written: {:?}", self.seen);
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| panic!("killed by signal {:?}", status.signal()))
    }
}

fn set_size(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

/// Nothing is left of a test that fails.
impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

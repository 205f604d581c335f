//! The process that holds the user namespace of steps, and cleans up after them.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use super::ids::Ids;
use super::problems;
use crate::steps::StepError;

/// A user namespace in which this user is root. Ends when it is dropped, or when this process ends.
#[derive(Debug)]
pub(super) struct UserNamespace {
    holder: Child,
    pub(super) ids: Ids,
}

/// Waits until the namespace has its IDs. Only a program that is started after that is root. Before
/// that, the working folder has no files of other users.
const WAIT_FOR_IDS: &str =
    r#"echo; read -r go || exec rm -rf -- "$2" "$2.lock"; exec sh -c "$1" sh "$2""#;
/// Waits until its input is closed, then removes the working folder. Programs that were just killed
/// may still write to it.
const REMOVE_AT_END: &str = r#"trap '' INT TERM HUP
while read -r line; do :; done
cd /
for attempt in 1 2 3 4 5; do rm -rf -- "$1" "$1.lock" && exit; done"#;

impl UserNamespace {
    /// Creates a namespace. When it ends, it removes the folder `work`, which need not exist yet.
    pub(super) fn create(work: &Path) -> Result<Self, StepError> {
        let failed = || StepError::io("run", "unshare");
        let ids = Ids::available()?;
        let mut command = Command::new("unshare");
        command.args(["--user", "--", "sh", "-c", WAIT_FOR_IDS, "sh", REMOVE_AT_END]).arg(work);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C in a terminal must not end it before it has cleaned up.
        command.process_group(0).env("LC_ALL", "C");
        let mut namespace = Self { holder: command.spawn().map_err(failed())?, ids };
        let holder = &mut namespace.holder;
        let mut ready = [0];
        let ready = holder.stdout.take().is_some_and(|mut out| out.read_exact(&mut ready).is_ok());
        if !ready {
            let error = collect(holder.stderr.take()).join();
            return Err(problems::no_user_namespace(&error));
        }
        namespace.ids.map(holder.id())?;
        if let Some(input) = &mut holder.stdin {
            input.write_all(b"\n").map_err(failed())?;
        }
        Ok(namespace)
    }

    /// A command that runs `program` as root of the namespace. It is killed when the thread that
    /// starts it ends.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--user=/proc/{}/ns/user", self.holder.id()));
        match self.ids.single() {
            // This user is root already, and cannot leave groups.
            Some(_) => command.arg("--preserve-credentials"),
            None => command.args(["--setuid=0", "--setgid=0"]),
        };
        command.args(["--", "setpriv", "--pdeathsig", "KILL"]);
        command.arg(program).env("LC_ALL", "C");
        command
    }
}

impl Drop for UserNamespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // Nothing depends on how it ended: the next step removes what it left.
        let _ = self.holder.wait();
    }
}

/// A text that is being read on a thread.
pub(super) struct Collected(Option<JoinHandle<String>>);

/// The most bytes of errors that are kept.
const ERRORS_MAX: u64 = 4 << 10;

/// Reads what a program prints on standard error, so that it is never blocked by a full pipe.
pub(super) fn collect(source: Option<impl Read + Send + 'static>) -> Collected {
    Collected(source.map(|mut source| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = (&mut source).take(ERRORS_MAX).read_to_end(&mut text);
            let _ = io::copy(&mut source, &mut io::sink());
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    }))
}

impl Collected {
    /// Waits for the end, and returns the first lines.
    pub(super) fn join(self) -> String {
        self.0.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// The failure of a program that ended with `status` and printed `errors`.
pub(super) fn failure(status: ExitStatus, errors: Collected) -> io::Error {
    io::Error::other(match errors.join() {
        errors if errors.is_empty() => status.to_string(),
        errors => errors,
    })
}

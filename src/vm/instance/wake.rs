//! Requests to the program in the guest that reseeds the random number generator and sets the clock
//! of a restored VM, and that waits for the engine (`vm/guest/files/usr/lib/seatrial/wake`).

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep};

use crate::engine::{ApiVersion, Clock};
use crate::vm::VmError;
use crate::vm::instance::channel::read_line;
use crate::vm::locks::Lock;

/// The name of the two pipes in a VM's folder, to which QEMU appends `.in` and `.out`. Pipes rather
/// than a socket, because the guest's end of a pipe always counts as connected: the program can
/// block on it, instead of checking repeatedly for a connection.
pub(in crate::vm) const PIPE_NAME: &str = "wake";

/// The most bytes of an answer: a word, a token, and a time or the reason of a failure.
const LINE_MAX: usize = 4096;
/// How long other requests may take: a VM that boots has 120 s until its engine must answer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(180);
/// How often a lock that is in use is tried again.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The number of random bytes for a VM: twice the size of a key of the kernel's generator.
const SEED_SIZE: usize = 64;

/// Creates the pipes, which QEMU opens.
pub(in crate::vm) fn create_pipes(folder: &Path) -> Result<(), VmError> {
    for ending in ["in", "out"] {
        let path = folder.join(format!("{PIPE_NAME}.{ending}"));
        let created = mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
        created.map_err(|error| VmError::file("create", &path)(error.into()))?;
    }
    Ok(())
}

/// Reseeds the guest's random number generator and sets its clock to the host's time. Returns the
/// guest's uptime.
pub(in crate::vm) async fn reseed_and_set_clock(
    folder: &Path,
    limit: Duration,
    clock: &Clock,
) -> Result<Duration, VmError> {
    let seed = random_hex::<SEED_SIZE>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let arguments = format!("{seed} {} {}", now.as_secs(), now.subsec_nanos());
    request(folder, "wake", &arguments, limit, clock).await?.uptime()
}

/// Returns the guest's uptime, without changing anything in the guest.
pub(in crate::vm) async fn uptime(
    folder: &Path,
    limit: Duration,
    clock: &Clock,
) -> Result<Duration, VmError> {
    request(folder, "wake", "", limit, clock).await?.uptime()
}

/// Has the guest send `/_ping` to the engine behind `socket` for up to `seconds`, until the answer
/// is OK and `needed_socket`, which the engine depends on, accepts connections. Returns the guest's
/// uptime at that moment, and the newest API version that the engine supports.
pub(in crate::vm) async fn wait_for_engine(
    folder: &Path,
    seconds: u64,
    [socket, needed_socket]: [&str; 2],
    clock: &Clock,
) -> Result<(Duration, Option<ApiVersion>), VmError> {
    let limit = Duration::from_secs(seconds + 1);
    let arguments = format!("{seconds} {socket} {needed_socket}");
    let answer = request(folder, "ready", &arguments, limit, clock).await?;
    Ok((answer.uptime()?, answer.words.get(1).and_then(|api| api.parse().ok())))
}

/// Returns `N` random bytes from the host in hex.
pub(super) fn random_hex<const N: usize>() -> Result<String, VmError> {
    let (source, mut bytes) = ("/dev/urandom", [0; N]);
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(VmError::file("read", source))?;
    Ok(hex::encode(bytes))
}

/// An answer of the guest, without its first word and the token.
struct Answer {
    words: Vec<String>,
}

impl Answer {
    fn uptime(&self) -> Result<Duration, VmError> {
        let seconds = self.words.first().and_then(|word| word.parse().ok());
        let uptime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        uptime.ok_or_else(|| failed("wake", format!("it answered \"{}\"", self.words.join(" "))))
    }
}

fn failed(command: &str, problem: String) -> VmError {
    VmError::Command { peer: "the guest", command: command.to_owned(), problem }
}

/// Waits until no other request is under way, of this process or another one: all answers arrive in
/// the same pipe.
async fn lock(folder: &Path, command: &str) -> Result<Lock, VmError> {
    let (path, deadline) = (folder.join("wake.lock"), Instant::now() + LOCK_TIMEOUT);
    loop {
        if let Some(lock) = Lock::try_acquire(&path)? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            let seconds = LOCK_TIMEOUT.as_secs();
            return Err(failed(command, format!("another request was under way for {seconds} s")));
        }
        sleep(POLL_INTERVAL).await;
    }
}

async fn request(
    folder: &Path,
    command: &str,
    arguments: &str,
    limit: Duration,
    clock: &Clock,
) -> Result<Answer, VmError> {
    let _lock = lock(folder, command).await?;
    // The answer to a request that timed out may arrive later; the token identifies it.
    let token = random_hex::<8>()?;
    let answer = async {
        let pipe_in = folder.join(format!("{PIPE_NAME}.in"));
        let pipe_out = folder.join(format!("{PIPE_NAME}.out"));
        let mut answers = BufReader::new(pipe::OpenOptions::new().open_receiver(pipe_out)?);
        let line = format!("{command} {token} {arguments}\n");
        pipe::OpenOptions::new().open_sender(pipe_in)?.write_all(line.as_bytes()).await?;
        loop {
            let answer = read_line(&mut answers, LINE_MAX).await?;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            if answer.is_empty() || answer.split(' ').nth(1) == Some(&token) {
                return std::io::Result::Ok(answer);
            }
        }
    };
    let answer = match clock.timeout(limit, answer).await {
        None => {
            return Err(failed(command, format!("no answer within {} s", limit.as_secs_f32())));
        }
        Some(Err(error)) => return Err(failed(command, error.to_string())),
        Some(Ok(answer)) => answer,
    };
    let mut words = answer.split_whitespace().map(str::to_owned);
    match words.next().as_deref() {
        Some("awake" | "ready") => Ok(Answer { words: words.skip(1).collect() }),
        _ => Err(failed(command, words.skip(1).collect::<Vec<_>>().join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};

    use super::*;

    /// Answers requests as a guest does, until it is asked to stop.
    fn guest(requests: File, mut answers: File) -> std::io::Result<()> {
        for request in std::io::BufReader::new(requests).lines() {
            let request = request?;
            let token = request.split(' ').nth(1).unwrap_or_default();
            if request.starts_with("stop") {
                break;
            }
            writeln!(answers, "awake {token} 1.5")?;
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_ask_at_once_all_get_their_own_answers() {
        let folder = tempfile::TempDir::new().unwrap();
        create_pipes(folder.path()).unwrap();
        // Both ends of each pipe stay open, as in QEMU, and are open before the first request.
        let path = |name: &str| folder.path().join(name);
        let open = |name: &str| File::options().read(true).write(true).open(path(name)).unwrap();
        let (requests, answers) = (open("wake.in"), open("wake.out"));
        let guest = std::thread::spawn(move || guest(requests, answers));
        // Each request opens its own pipes and lock, as another process would.
        let clients = [(); 4].map(|()| {
            let path = folder.path().to_owned();
            tokio::spawn(async move {
                for _ in 0..50 {
                    uptime(&path, Duration::from_secs(60), &Clock::host()).await?;
                }
                Ok::<_, VmError>(())
            })
        });
        for client in clients {
            client.await.unwrap().unwrap();
        }
        std::fs::write(folder.path().join("wake.in"), "stop\n").unwrap();
        guest.join().unwrap().unwrap();
    }
}

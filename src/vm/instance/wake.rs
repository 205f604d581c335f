//! The way to the program in the guest that makes a restored machine its own and tells when its engine answers
//! (`vm/guest/files/usr/lib/seatrial/wake`).

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::engine::ApiVersion;
use crate::vm::VmError;

/// The two named pipes of the channel, in a machine's folder: QEMU's pipe character device appends the endings.
/// Pipes rather than a socket, because they count as connected from the start: the guest can wait for input
/// without having to look for a connection again and again.
pub(in crate::vm) const NAME: &str = "wake";

/// How many random bytes of the host a machine gets: twice what the kernel's generator has for a key.
const SEED: usize = 64;

/// Makes the pipes. QEMU opens them.
pub(in crate::vm) fn make(folder: &Path) -> Result<(), VmError> {
    for ending in ["in", "out"] {
        let path = folder.join(format!("{NAME}.{ending}"));
        let made = mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
        made.map_err(|error| VmError::file("make", &path)(error.into()))?;
    }
    Ok(())
}

/// Gives the guest randomness of its own and the host's time, and gives how long the guest says it has been up.
pub(in crate::vm) async fn wake(folder: &Path, limit: Duration) -> Result<Duration, VmError> {
    let seed = random::<SEED>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let answer =
        ask(folder, "wake", &format!("{seed} {} {}", now.as_secs(), now.subsec_nanos()), limit)
            .await?;
    answer.uptime()
}

/// Whether the guest answers; gives how long it says it has been up. Changes nothing in it.
pub(in crate::vm) async fn uptime(folder: &Path, limit: Duration) -> Result<Duration, VmError> {
    ask(folder, "wake", "", limit).await?.uptime()
}

/// Asks, from inside the guest, the engine behind `socket` for `/_ping` until it says OK and `needed`, the socket of what
/// it depends on, accepts, for `seconds` at most. Gives how long the guest says it has been up then, and the newest
/// version of the API that the engine speaks.
pub(in crate::vm) async fn engine(
    folder: &Path,
    seconds: u64,
    [socket, needed]: [&str; 2],
) -> Result<(Duration, Option<ApiVersion>), VmError> {
    let limit = Duration::from_secs(seconds + 1);
    let answer = ask(folder, "ready", &format!("{seconds} {socket} {needed}"), limit).await?;
    Ok((answer.uptime()?, answer.words.get(1).and_then(|api| api.parse().ok())))
}

/// Random bytes of the host in hex.
fn random<const N: usize>() -> Result<String, VmError> {
    let (source, mut bytes) = ("/dev/urandom", [0; N]);
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(VmError::file("read", source))?;
    Ok(hex::encode(bytes))
}

/// What the guest answered, without the word that says what it is and the token.
struct Answer {
    words: Vec<String>,
}

impl Answer {
    fn uptime(&self) -> Result<Duration, VmError> {
        let seconds = self.words.first().and_then(|word| word.parse().ok());
        let uptime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        uptime.ok_or_else(|| failed("wake", format!("it answered {:?}", self.words.join(" "))))
    }
}

fn failed(question: &str, problem: String) -> VmError {
    VmError::Channel { peer: "the guest", command: question.to_owned(), problem }
}

async fn ask(
    folder: &Path,
    question: &str,
    more: &str,
    limit: Duration,
) -> Result<Answer, VmError> {
    // A question that was given up on may be answered later; the token tells whose answer it is.
    let token = random::<8>()?;
    let asked = async {
        let (to, from) = (folder.join(format!("{NAME}.in")), folder.join(format!("{NAME}.out")));
        let mut from = BufReader::new(pipe::OpenOptions::new().open_receiver(from)?);
        let line = format!("{question} {token} {more}\n");
        pipe::OpenOptions::new().open_sender(to)?.write_all(line.as_bytes()).await?;
        loop {
            let mut answer = String::new();
            if from.read_line(&mut answer).await? == 0 || answer.split(' ').nth(1) == Some(&token) {
                return std::io::Result::Ok(answer);
            }
        }
    };
    let answer = match timeout(limit, asked).await {
        Err(_) => {
            return Err(failed(question, format!("no answer within {} s", limit.as_secs_f32())));
        }
        Ok(Err(error)) => return Err(failed(question, error.to_string())),
        Ok(Ok(answer)) => answer,
    };
    let mut words = answer.split_whitespace().map(str::to_owned);
    match words.next().as_deref() {
        Some("awake" | "ready") => Ok(Answer { words: words.skip(1).collect() }),
        _ => Err(failed(question, words.skip(1).collect::<Vec<_>>().join(" "))),
    }
}

//! The way to the program in the guest that makes a restored machine its own (`vm/guest/files/usr/lib/seatrial/wake`).

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::VmError;

/// The two named pipes of the channel, in a machine's folder: QEMU's pipe character device appends the endings.
/// Pipes rather than a socket, because they count as connected from the start: the guest can wait for input
/// without having to look for a connection again and again.
pub(super) const NAME: &str = "wake";

/// How many random bytes of the host a machine gets: twice what the kernel's generator has for a key.
const SEED: usize = 64;

/// Makes the pipes. QEMU opens them.
pub(super) fn make(folder: &Path) -> Result<(), VmError> {
    for ending in ["in", "out"] {
        let path = folder.join(format!("{NAME}.{ending}"));
        let made = mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
        made.map_err(|error| VmError::file("make", &path)(error.into()))?;
    }
    Ok(())
}

/// Gives the guest randomness of its own and the host's time, and gives how long the guest says it has been up.
pub(super) async fn wake(folder: &Path, limit: Duration) -> Result<Duration, VmError> {
    let seed = random::<SEED>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ask(folder, &format!(" {seed} {} {}", now.as_secs(), now.subsec_nanos()), limit).await
}

/// Whether the guest answers; gives how long it says it has been up. Changes nothing in it.
pub(super) async fn uptime(folder: &Path, limit: Duration) -> Result<Duration, VmError> {
    ask(folder, "", limit).await
}

/// Random bytes of the host in hex.
fn random<const N: usize>() -> Result<String, VmError> {
    let (source, mut bytes) = ("/dev/urandom", [0; N]);
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(VmError::file("read", source))?;
    Ok(hex::encode(bytes))
}

async fn ask(folder: &Path, request: &str, limit: Duration) -> Result<Duration, VmError> {
    // A question that was given up on may be answered later; the token tells whose answer it is.
    let token = random::<8>()?;
    let asked = async {
        let (to, from) = (folder.join(format!("{NAME}.in")), folder.join(format!("{NAME}.out")));
        let mut from = BufReader::new(pipe::OpenOptions::new().open_receiver(from)?);
        let question = format!("wake {token}{request}\n");
        pipe::OpenOptions::new().open_sender(to)?.write_all(question.as_bytes()).await?;
        loop {
            let mut answer = String::new();
            if from.read_line(&mut answer).await? == 0 || answer.split(' ').nth(1) == Some(&token) {
                return std::io::Result::Ok(answer);
            }
        }
    };
    let problem = match timeout(limit, asked).await {
        Err(_) => format!("no answer within {} s", limit.as_secs_f32()),
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(answer)) => match answered(&answer) {
            Some(uptime) => return Ok(uptime),
            None => answer.trim_end().to_owned(),
        },
    };
    Err(VmError::Channel { peer: "the guest", command: "wake".to_owned(), problem })
}

fn answered(answer: &str) -> Option<Duration> {
    let (_, uptime) = answer.strip_prefix("awake ")?.trim_end().split_once(' ')?;
    Duration::try_from_secs_f64(uptime.parse().ok()?).ok()
}

//! Faults: what happens to engines in the wild, done to one on purpose.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::vm::{Vm, VmError};

/// Something that goes wrong. Written as a few words: `kill dockerd`, `freeze dockerd 10`, `restart containerd`,
/// `fill`, `clock +3600`, `slow-disk 2`, `slow-cpu 25`, `power-off`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Fault {
    /// A process of the guest's is killed (SIGKILL); systemd may start it again.
    Kill(String),
    /// A process of the guest's is stopped (SIGSTOP) for some seconds.
    Freeze(String, u64),
    /// A unit of systemd's is restarted.
    Restart(String),
    /// The disk that the engine writes to is filled to the last block.
    Fill,
    /// The guest's clock jumps by some seconds.
    Clock(i64),
    /// That disk gives and takes no more than some MiB a second.
    SlowDisk(u64),
    /// The machine gets no more than some percent of the CPU time it wants.
    SlowCpu(u64),
    /// The machine ends.
    PowerOff,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "kill PROCESS, freeze PROCESS SECONDS, restart UNIT, fill, clock +SECONDS, slow-disk MIB, \
                     slow-cpu PERCENT, power-off";
        let wrong = || format!("{text:?} is no fault; there are: {known}");
        let number =
            |word: &str| word.parse::<u64>().ok().filter(|number| *number > 0).ok_or_else(wrong);
        let name = |word: &str| match word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._@".contains(c))
        {
            true => Ok(word.to_owned()),
            false => Err(wrong()),
        };
        Ok(match *text.split_whitespace().collect::<Vec<_>>() {
            ["kill", process] => Self::Kill(name(process)?),
            ["freeze", process, seconds] => Self::Freeze(name(process)?, number(seconds)?),
            ["restart", unit] => Self::Restart(name(unit)?),
            ["fill"] => Self::Fill,
            ["clock", seconds] => Self::Clock(seconds.parse().map_err(|_| wrong())?),
            ["slow-disk", mib] => Self::SlowDisk(number(mib)?),
            ["slow-cpu", percent] => Self::SlowCpu(number(percent)?.min(100)),
            ["power-off"] => Self::PowerOff,
            _ => return Err(wrong()),
        })
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(process) => write!(f, "kill {process}"),
            Self::Freeze(process, seconds) => write!(f, "freeze {process} {seconds}"),
            Self::Restart(unit) => write!(f, "restart {unit}"),
            Self::Fill => f.write_str("fill"),
            Self::Clock(seconds) => write!(f, "clock {seconds:+}"),
            Self::SlowDisk(mib) => write!(f, "slow-disk {mib}"),
            Self::SlowCpu(percent) => write!(f, "slow-cpu {percent}"),
            Self::PowerOff => f.write_str("power-off"),
        }
    }
}

impl Fault {
    /// What a shell of the guest's does to bring it about; none where it comes from outside the guest.
    /// `store` is where the engine keeps its images.
    pub fn script(&self, store: &str) -> Option<String> {
        Some(match self {
            Self::Kill(process) => format!("pkill -KILL -x {process}"),
            Self::Freeze(process, seconds) => {
                format!("pkill -STOP -x {process}; sleep {seconds}; pkill -CONT -x {process}")
            }
            Self::Restart(unit) => format!("systemctl restart --no-block {unit}"),
            // All that is free for anybody at once, and then what is kept for root.
            Self::Fill => format!(
                "cd {store}; fallocate -l $(df --output=avail -B1 . | tail -n 1) full; \
                 cat /dev/zero >rest 2>/dev/null; sync"
            ),
            Self::Clock(seconds) => format!("date -s @$(($(date +%s) + {seconds}))"),
            Self::SlowDisk(_) | Self::SlowCpu(_) | Self::PowerOff => return None,
        })
    }

    /// Does it to `machine`, and returns once it is done; what lasts goes on in the guest.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    pub async fn inflict(&self, machine: &Vm) -> Result<(), VmError> {
        match self {
            Self::SlowDisk(mib) => machine.throttle_disk(mib << 20).await?,
            Self::SlowCpu(percent) => machine.throttle_cpu(*percent),
            Self::PowerOff => machine.power_off(),
            inside => {
                let script = inside.script(&machine.family().store).unwrap_or_default();
                let lasts = matches!(self, Self::Freeze(..));
                let script = match lasts {
                    true => format!("setsid sh -c '{script}' >/dev/null 2>&1 </dev/null &"),
                    false => script,
                };
                let mut agent = machine.agent(Duration::from_secs(10)).await?;
                agent.run("/bin/sh", &["-c", &script], Duration::from_secs(120)).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_it_is_read_and_runs_no_more_than_it_names() {
        for text in [
            "kill dockerd",
            "freeze dockerd 10",
            "restart containerd",
            "fill",
            "clock +3600",
            "clock -5",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in
            ["", "kill", "kill a;b", "freeze dockerd", "freeze dockerd 0", "clock soon", "burn cpu"]
        {
            assert!(
                text.parse::<Fault>().unwrap_err().contains("there are: kill PROCESS"),
                "{text}"
            );
        }
    }
}

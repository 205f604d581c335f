//! Faults that are injected into a VM while its engine starts or runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::vm::{Vm, VmError};

/// A fault, written as `kill dockerd`, `freeze dockerd 10`, `restart containerd`, `fill`,
/// `clock +3600`, `slow-disk 2`, `slow-cpu 25` or `power-off`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Fault {
    /// Kills a process (SIGKILL). systemd may start it again.
    Kill(String),
    /// Stops a process (SIGSTOP) for a number of seconds.
    Freeze(String, u64),
    /// Restarts a systemd unit.
    Restart(String),
    /// Fills the disk on which the engine keeps its data.
    Fill,
    /// Moves the guest's clock by a number of seconds.
    Clock(i64),
    /// Limits that disk to a number of MiB per second.
    SlowDisk(u64),
    /// Limits the VM to a percentage of CPU time.
    SlowCpu(u64),
    /// Ends the VM, like a power cut.
    PowerOff,
}

/// The syntax of all faults.
const SYNTAX: &str = "kill PROCESS, freeze PROCESS SECONDS, restart UNIT, fill, clock +SECONDS, \
                      slow-disk MIB, slow-cpu PERCENT, power-off";

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("unknown fault \"{text}\"; known faults: {SYNTAX}");
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

/// The timeout for a connection to the guest agent.
const AGENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a script in the guest. Filling a disk takes a while.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(120);

impl Fault {
    /// Returns the shell script that injects the fault from within the guest, or `None` if the host
    /// injects it. `store` is the folder of the engine's data.
    pub(super) fn script(&self, store: &str) -> Option<String> {
        Some(match self {
            Self::Kill(process) => format!("pkill -KILL -x {process}"),
            Self::Freeze(process, seconds) => {
                format!("pkill -STOP -x {process}; sleep {seconds}; pkill -CONT -x {process}")
            }
            Self::Restart(unit) => format!("systemctl restart --no-block {unit}"),
            // First the blocks that are free for all users at once, then those reserved for root.
            Self::Fill => format!(
                "cd {store}; fallocate -l $(df --output=avail -B1 . | tail -n 1) full; \
                 cat /dev/zero >rest 2>/dev/null; sync"
            ),
            Self::Clock(seconds) => format!("date -s @$(($(date +%s) + {seconds}))"),
            Self::SlowDisk(_) | Self::SlowCpu(_) | Self::PowerOff => return None,
        })
    }

    /// Injects the fault into a VM. Does not wait for the end of a fault that lasts.
    ///
    /// # Errors
    /// If QEMU or the guest agent does not answer.
    pub async fn apply(&self, vm: &Vm) -> Result<(), VmError> {
        match self {
            Self::SlowDisk(mib) => vm.throttle_disk(mib << 20).await?,
            Self::SlowCpu(percent) => vm.throttle_cpu(*percent),
            Self::PowerOff => vm.power_off(),
            _ => {
                let script = self.script(&vm.family().store).unwrap_or_default();
                let script = match self {
                    Self::Freeze(..) => {
                        format!("setsid sh -c '{script}' >/dev/null 2>&1 </dev/null &")
                    }
                    _ => script,
                };
                let mut agent = vm.agent(AGENT_TIMEOUT).await?;
                agent.run("/bin/sh", &["-c", &script], SCRIPT_TIMEOUT).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_printed_as_it_is_written_and_its_arguments_are_checked() {
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
                text.parse::<Fault>().unwrap_err().contains("known faults: kill PROCESS"),
                "{text}"
            );
        }
    }
}

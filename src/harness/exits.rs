//! How containers ended, with what only the guest's kernel knows for certain: whether it killed a
//! process because memory was exhausted, and whose memory.
//!
//! Engines learn of that in an event of its own, after the exit or not at all: containerd reads it
//! from the container's control group, which may be gone by then.

use std::time::Duration;

use super::{Daemon, HarnessError};
use crate::engine::{Container, OutOfMemory, RunOutput, State};

/// Prints what the kernel has said of processes that it killed in the control groups of the
/// container with an ID. The kernel says so before the process ends, but at most ten times in five
/// seconds.
const SCRIPT: &str = r#"dmesg | grep -e "oom-kill:.*,task_memcg=[^,]*$1" || true"#;
/// The time limit of the script.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the state of `container`.
pub(crate) async fn state(daemon: &Daemon, container: &Container) -> Result<State, HarnessError> {
    let mut state = container.state().await?;
    if let Some(exit) = state.exit.as_mut().filter(|exit| exit.code != 0) {
        exit.out_of_memory = out_of_memory(daemon, container.id()).await.or(exit.out_of_memory);
    }
    Ok(state)
}

/// Waits until `container` exits, and returns its exit code and output.
pub(crate) async fn wait(
    daemon: &Daemon,
    container: &Container,
) -> Result<RunOutput, HarnessError> {
    Ok(completed(daemon, container.id(), container.wait().await?).await)
}

/// Returns the output of the container with this ID with what the kernel knows of its end.
pub(super) async fn completed(daemon: &Daemon, id: &str, mut output: RunOutput) -> RunOutput {
    if output.code != 0 {
        output.out_of_memory = out_of_memory(daemon, id).await.or(output.out_of_memory);
    }
    output
}

/// Returns `None` also if the guest does not answer: the exit code is known all the same.
async fn out_of_memory(daemon: &Daemon, id: &str) -> Option<OutOfMemory> {
    let arguments = ["-c", SCRIPT, "sh", id];
    let output = daemon.guest_run("/bin/sh", &arguments, SCRIPT_TIMEOUT).await.ok()?;
    parse(&output.stdout)
}

/// Reads the kernel's messages about one container (`mm/oom_kill.c`, `dump_oom_summary`).
fn parse(messages: &str) -> Option<OutOfMemory> {
    let last = messages.lines().next_back()?;
    match last.contains("constraint=CONSTRAINT_MEMCG,") {
        true => Some(OutOfMemory::Container),
        false => Some(OutOfMemory::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Messages of docker-20.10's kernel, with shorter IDs.
    const OF_CONTAINER: &str = "[   68.682392] oom-kill:constraint=CONSTRAINT_MEMCG,\
        nodemask=(null),cpuset=docker-c7d5.scope,mems_allowed=0,\
        oom_memcg=/system.slice/docker-c7d5.scope,task_memcg=/system.slice/docker-c7d5.scope,\
        task=busybox,pid=342,uid=0\n";
    const OF_HOST: &str = "[  159.154684] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),\
        cpuset=containerd.service,mems_allowed=0,global_oom,\
        task_memcg=/system.slice/docker-c7d5.scope,task=sh,pid=426,uid=0\n";

    #[test]
    fn the_last_message_says_whose_memory_was_exhausted() {
        assert_eq!(parse(""), None);
        assert_eq!(parse(OF_CONTAINER), Some(OutOfMemory::Container));
        assert_eq!(parse(OF_HOST), Some(OutOfMemory::Host));
        assert_eq!(parse(&[OF_HOST, OF_CONTAINER].concat()), Some(OutOfMemory::Container));
    }
}

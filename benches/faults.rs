//! `ci/bench faults [TEXT]`: what the library says of an engine to which something happens: every fault, before the
//! engine is ready, between that and a load, in the middle of a load, in the middle of a run. Each must end within its
//! deadline, in success or in an error that says what happened; `again` is the same asked once more afterwards.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use seatrial::build::Recipe;
use seatrial::engine::RunOptions;
use seatrial::harness::{Daemon, HarnessError};
use seatrial::replay::Fault;
use seatrial::vm::AcceleratorChoice;
use seatrial::vm::guest::assemble::{Sources, assemble};
use seatrial::vm::{GuestChanges, PausedVm};
use tempfile::TempDir;

const GUEST: &str = "docker-20.10";
const FAULTS: [&str; 11] = [
    "kill dockerd",
    "kill containerd",
    "restart docker.service",
    "restart containerd.service",
    "freeze dockerd 10",
    "freeze dockerd 100",
    "fill",
    "clock +31536000",
    "slow-disk 1",
    "slow-cpu 25",
    "power-off",
];
const STAGES: [&str; 4] = ["before ready", "before the load", "in the load", "in the run"];
const READY: Duration = Duration::from_secs(150);
const RUN: Duration = Duration::from_secs(60);

struct Bench {
    folder: TempDir,
    held: PausedVm,
}

#[tokio::main]
async fn main() {
    let only = std::env::args().skip(1).find(|word| !word.starts_with("--")).unwrap_or_default();
    let guest = assemble(GUEST, &Sources::default(), &mut |_| ()).unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    // What does not compress, and takes an emulated engine a few seconds to load.
    let bytes: Vec<u8> =
        (0..12 << 18).flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(folder.path().join("root/file"), bytes).unwrap();
    std::fs::copy("/bin/busybox", folder.path().join("root/busybox")).unwrap();
    let held = PausedVm::boot(&guest, AcceleratorChoice::default(), GuestChanges::default())
        .await
        .unwrap();
    let bench = Bench { folder, held };
    println!("{:<28}{:<17}{:>7}  outcome / again", "fault", "stage", "s");
    for fault in FAULTS {
        for stage in STAGES.into_iter().filter(|stage| format!("{fault}, {stage}").contains(&only))
        {
            bench.line(fault, stage).await;
        }
    }
}

impl Bench {
    async fn line(&self, fault: &str, stage: &str) {
        let (parsed, begin) = (fault.parse::<Fault>().unwrap(), Instant::now());
        let (daemon, outcome) = match stage {
            "before ready" => {
                let released = self.held.resume().await.unwrap();
                until(async || {
                    let agent = released.vm.agent(RUN).await;
                    let mut agent = agent.unwrap();
                    agent.run("/usr/bin/pgrep", &["-x", "dockerd"], RUN).await.unwrap().success()
                })
                .await;
                parsed.apply(&released.vm).await.unwrap();
                match released.into_ready(READY).await {
                    Ok(ready) => {
                        let daemon = Daemon::from(ready);
                        let outcome = self.load(&daemon).await;
                        (Some(daemon), outcome)
                    }
                    Err(error) => (None, Err(error.into())),
                }
            }
            stage => {
                let daemon = Daemon::start(GUEST, Default::default()).await.unwrap();
                let outcome = self.at(&daemon, &parsed, stage).await;
                (Some(daemon), outcome)
            }
        };
        let took = begin.elapsed().as_secs_f64();
        let again = match &daemon {
            None => String::new(),
            Some(daemon) => format!(" / {}", told(&self.load(daemon).await)),
        };
        println!("{fault:<28}{stage:<17}{took:>7.1}  {}{again}", told(&outcome));
    }

    async fn at(&self, daemon: &Daemon, fault: &Fault, stage: &str) -> Result<(), HarnessError> {
        match stage {
            "before the load" => {
                fault.apply(daemon.vm()).await?;
                self.load(daemon).await
            }
            "in the load" => {
                let inflict = async {
                    until_says(daemon, "ls /var/lib/docker/tmp/docker-import-*").await;
                    fault.apply(daemon.vm()).await
                };
                let (loaded, inflicted) = tokio::join!(self.load(daemon), inflict);
                inflicted?;
                loaded
            }
            _ => {
                let image = daemon.load_recipe(self.recipe()).await?;
                let options = RunOptions::command(&["/busybox", "sleep", "8"]);
                let inflict = async {
                    until_says(daemon, "pgrep -f '^/busybox sleep'").await;
                    fault.apply(daemon.vm()).await
                };
                let (output, inflicted) = tokio::join!(image.run(&options, RUN), inflict);
                inflicted?;
                let output = output?;
                assert_eq!(output.code, 0, "a success that was none: {output:?}");
                Ok(())
            }
        }
    }

    fn recipe(&self) -> Recipe {
        let place: &Path = &self.folder.path().join("recipe.toml");
        Recipe::parse(place, "name = 'bench'\ntag = '1'\ncontents = 'root'\n").unwrap()
    }

    async fn load(&self, daemon: &Daemon) -> Result<(), HarnessError> {
        daemon.load_recipe(self.recipe()).await.map(drop)
    }
}

/// Waits until a script of the guest's ends well.
async fn until_says(daemon: &Daemon, script: &str) {
    until(async || {
        let said = daemon.guest_run("/bin/sh", &["-c", script], RUN).await;
        said.map_or(true, |said| said.success())
    })
    .await;
}

async fn until(is: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + RUN;
    while !is().await {
        assert!(Instant::now() < deadline, "what the fault was to follow did not come");
    }
}

fn told(outcome: &Result<(), HarnessError>) -> String {
    match outcome {
        Ok(()) => "fine".to_owned(),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

//! `ci/bench faults [TEXT]`: faults in an engine, and the error that the library returns. Every
//! fault happens before the engine is ready, before an image is loaded, during the load, and during
//! the run of a container. Each operation must end within its timeout, with success or with an
//! error that names the cause. `retry` is the result of a load afterwards.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use seatrial::build::Recipe;
use seatrial::engine::RunOptions;
use seatrial::harness::{Daemon, HarnessError};
use seatrial::replay::Fault;
use seatrial::vm::{AcceleratorChoice, GuestChanges, PausedVm, PrepareOptions, prepare};
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
const STAGES: [&str; 4] = ["before ready", "before the load", "during the load", "during the run"];
const READY_TIMEOUT: Duration = Duration::from_secs(150);
const RUN_TIMEOUT: Duration = Duration::from_secs(60);

struct Bench {
    folder: TempDir,
    paused: PausedVm,
}

#[tokio::main]
async fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with("--")).unwrap_or_default();
    let only_assemble = PrepareOptions { snapshot: false, ..PrepareOptions::default() };
    let guest = prepare(GUEST, &only_assemble, &mut |_| ()).await.unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    // Bytes that do not compress, and that an emulated engine loads in a few seconds.
    let bytes: Vec<u8> =
        (0..12 << 18).flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(folder.path().join("root/file"), bytes).unwrap();
    std::fs::copy("/bin/busybox", folder.path().join("root/busybox")).unwrap();
    let (accelerator, changes) = (AcceleratorChoice::default(), GuestChanges::default());
    let paused = PausedVm::boot(&guest, accelerator, changes).await.unwrap();
    let bench = Bench { folder, paused };
    println!("{:<28}{:<17}{:>7}  result / retry", "fault", "stage", "s");
    for fault in FAULTS {
        let name = |stage: &str| format!("{fault}, {stage}");
        for stage in STAGES.into_iter().filter(|stage| name(stage).contains(&filter)) {
            bench.run(fault, stage).await;
        }
    }
}

impl Bench {
    /// Injects a fault at a stage, and prints the results.
    async fn run(&self, fault: &str, stage: &str) {
        let (parsed, start) = (fault.parse::<Fault>().unwrap(), Instant::now());
        let (daemon, result) = match stage {
            "before ready" => self.before_ready(&parsed).await,
            stage => {
                let daemon = Daemon::start(GUEST, Default::default()).await.unwrap();
                let result = self.after_ready(&daemon, &parsed, stage).await;
                (Some(daemon), result)
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let retry = match &daemon {
            None => String::new(),
            Some(daemon) => format!(" / {}", summary(&self.load(daemon).await)),
        };
        println!("{fault:<28}{stage:<17}{seconds:>7.1}  {}{retry}", summary(&result));
    }

    async fn before_ready(&self, fault: &Fault) -> (Option<Daemon>, Result<(), HarnessError>) {
        let resumed = self.paused.resume().await.unwrap();
        wait_until(async || {
            let mut agent = resumed.vm.agent(RUN_TIMEOUT).await.unwrap();
            let pgrep = agent.run("/usr/bin/pgrep", &["-x", "dockerd"], RUN_TIMEOUT).await;
            pgrep.unwrap().success()
        })
        .await;
        fault.apply(&resumed.vm).await.unwrap();
        match resumed.into_ready(READY_TIMEOUT).await {
            Ok(ready) => {
                let daemon = Daemon::from(ready);
                let result = self.load(&daemon).await;
                (Some(daemon), result)
            }
            Err(error) => (None, Err(error.into())),
        }
    }

    async fn after_ready(
        &self,
        daemon: &Daemon,
        fault: &Fault,
        stage: &str,
    ) -> Result<(), HarnessError> {
        match stage {
            "before the load" => {
                fault.apply(daemon.vm()).await?;
                self.load(daemon).await
            }
            "during the load" => {
                let inject = async {
                    wait_until_succeeds(daemon, "ls /var/lib/docker/tmp/docker-import-*").await;
                    fault.apply(daemon.vm()).await
                };
                let (loaded, injected) = tokio::join!(self.load(daemon), inject);
                injected?;
                loaded
            }
            _ => {
                let image = daemon.load_recipe(self.recipe()).await?;
                let options = RunOptions::command(&["/busybox", "sleep", "8"]);
                let inject = async {
                    wait_until_succeeds(daemon, "pgrep -f '^/busybox sleep'").await;
                    fault.apply(daemon.vm()).await
                };
                let (output, injected) = tokio::join!(image.run(&options, RUN_TIMEOUT), inject);
                injected?;
                let output = output?;
                assert_eq!(output.code, 0, "the command failed without an error: {output:?}");
                Ok(())
            }
        }
    }

    fn recipe(&self) -> Recipe {
        let path = self.folder.path().join("recipe.toml");
        Recipe::parse(&path, "name = 'bench'\ntag = '1'\ncontents = 'root'\n").unwrap()
    }

    async fn load(&self, daemon: &Daemon) -> Result<(), HarnessError> {
        daemon.load_recipe(self.recipe()).await.map(drop)
    }
}

/// Waits until a shell script in the guest succeeds, or the guest does not answer.
async fn wait_until_succeeds(daemon: &Daemon, script: &str) {
    wait_until(async || {
        let output = daemon.guest_run("/bin/sh", &["-c", script], RUN_TIMEOUT).await;
        output.map_or(true, |output| output.success())
    })
    .await;
}

async fn wait_until(condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + RUN_TIMEOUT;
    while !condition().await {
        assert!(Instant::now() < deadline, "timed out waiting for the moment of the fault");
    }
}

/// `ok`, or the first line of the error.
fn summary(result: &Result<(), HarnessError>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

//! Faults of an engine during a request: the request ends in time, and the error names the fault.
//! `ci/bench faults` tests every fault at every stage.

use seatrial::engine::RunOptions;
use seatrial::replay::Fault;

use crate::workbench::{GUEST, RUN_TIMEOUT, Workbench};

const RECIPE: &str = "name='x'\ntag='1'\ncontents='rootfs'\n";

/// Inflicts a fault once the shell command `condition` succeeds in the guest.
async fn inflict(bench: &Workbench, fault: &str, condition: &str) {
    bench.guest(&format!("until {condition}; do :; done")).await;
    fault.parse::<Fault>().unwrap().apply(bench.daemon.vm()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_during_a_load_is_named_and_the_next_load_works() {
    let bench = Workbench::new().await;
    let importing = "ls /var/lib/docker/tmp/docker-import-* >/dev/null 2>&1";
    let load = bench.daemon.load_recipe(bench.recipe(RECIPE));
    let (loaded, ()) = tokio::join!(load, inflict(&bench, "kill dockerd", importing));
    let error = loaded.unwrap_err().to_string();
    assert!(error.contains("meanwhile, docker.service"), "{error}");

    let image = bench.load(RECIPE).await;
    let output =
        image.run(&RunOptions::command(&["/bin/echo", "again"]), RUN_TIMEOUT).await.unwrap();
    assert_eq!(output.stdout, "again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_dies_during_a_run_is_noticed_at_once() {
    let bench = Workbench::new().await;
    let image = bench.load(RECIPE).await;
    let options = RunOptions::command(&["/bin/sleep", "600"]);
    let run = image.run(&options, RUN_TIMEOUT);
    let (output, ()) =
        tokio::join!(run, inflict(&bench, "power-off", "pgrep -f '^/bin/sleep 600' >/dev/null"));
    let error = output.unwrap_err().to_string();
    assert!(error.starts_with("QEMU exited (signal 9)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_dies_while_an_image_is_inspected_is_noticed_at_once() {
    let bench = Workbench::new().await;
    let image = bench.load(RECIPE).await;
    // So that it does not answer before the VM dies.
    bench.guest("kill -STOP $(pidof dockerd)").await;
    let (inspected, ()) = tokio::join!(image.inspect(), inflict(&bench, "power-off", "true"));
    let error = inspected.unwrap_err().to_string();
    assert!(error.starts_with("QEMU exited (signal 9)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn a_full_disk_is_named_and_is_the_environments_failure_on_every_kind_of_engine() {
    for engine in [GUEST, "podman-5.4", "containerd-1.7"] {
        let bench = Workbench::on(engine).await;
        inflict(&bench, "fill", "true").await;
        let error = bench.daemon.load_recipe(bench.recipe(RECIPE)).await.unwrap_err();
        assert!(error.is_environment(), "{engine}: {error}");
        assert!(error.to_string().contains("the engine's disk is full"), "{engine}: {error}");
    }
}

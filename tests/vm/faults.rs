//! An engine to which something happens: what is asked of it ends in time, and the error says what happened.
//! `ci/bench faults` does every fault at every stage.

use seatrial::engine::RunOptions;
use seatrial::replay::Fault;

use crate::dock::{Dock, RUN};

const RECIPE: &str = "name='x'\ntag='1'\ncontents='rootfs'\n";

async fn inflict(dock: &Dock, fault: &str, once: &str) {
    dock.guest(&format!("until {once}; do :; done")).await;
    fault.parse::<Fault>().unwrap().apply(dock.daemon.vm()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_in_the_middle_of_a_load_is_named_and_a_retry_works() {
    let dock = Dock::new().await;
    let importing = "ls /var/lib/docker/tmp/docker-import-* >/dev/null 2>&1";
    let load = dock.daemon.load_recipe(dock.recipe(RECIPE));
    let (loaded, ()) = tokio::join!(load, inflict(&dock, "kill dockerd", importing));
    let said = loaded.unwrap_err().to_string();
    assert!(said.contains("meanwhile docker.service"), "{said}");

    let image = dock.load(RECIPE).await;
    let output = image.run(&RunOptions::command(&["/bin/echo", "again"]), RUN).await.unwrap();
    assert_eq!(output.stdout, "again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_dies_in_the_middle_of_a_run_is_noticed_at_once() {
    let dock = Dock::new().await;
    let image = dock.load(RECIPE).await;
    let options = RunOptions::command(&["/bin/sleep", "600"]);
    let run = image.run(&options, RUN);
    let (output, ()) =
        tokio::join!(run, inflict(&dock, "power-off", "pgrep -f '^/bin/sleep 600' >/dev/null"));
    let said = output.unwrap_err().to_string();
    assert!(said.starts_with("QEMU ended (signal 9)"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_when_a_load_fails() {
    let dock = Dock::new().await;
    inflict(&dock, "fill", "true").await;
    let said = dock.daemon.load_recipe(dock.recipe(RECIPE)).await.unwrap_err().to_string();
    assert!(said.contains("the disk that the engine writes to is full"), "{said}");
}

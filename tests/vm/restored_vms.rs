//! VMs that are restored from a snapshot: what they share, and what each has of its own.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seatrial::engine::RunOptions;
use seatrial::vm::Options;

use crate::workbench::{RUN_TIMEOUT, Workbench};

const RECIPE: &str = "name='x'\ntag='1'\ncontents='rootfs'\n";

/// Starts a VM without waiting for a VM slot.
async fn restored() -> Workbench {
    Workbench::with(Options { skip_slot_queue: true, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_vms_restored_in_the_same_second_differ_in_randomness_and_share_no_files_or_images() {
    let (one, two) = tokio::join!(restored(), restored());
    let (mut random, mut containers) = (Vec::new(), Vec::new());
    for bench in [&one, &two] {
        random.push(bench.guest("head -c 32 /dev/urandom | od -An -tx1").await);
        let image = bench.load(RECIPE).await;
        let options = RunOptions::command(&["/bin/true"]);
        let container = bench.daemon.engine().start(image.reference(), &options).await;
        containers.push(container.unwrap().id().to_owned());
    }
    assert_ne!(random[0], random[1], "the kernel's random numbers");
    assert_ne!(containers[0], containers[1], "dockerd's random IDs");
    one.guest("echo mine >/var/lib/docker/mark; echo mine >/mark").await;
    let list = "ls /var/lib/docker/mark /mark 2>/dev/null || echo absent";
    assert_eq!(two.guest(list).await, "absent\n");
    one.load("name='only-in-one'\ntag='1'\ncontents='rootfs'\n").await;
    two.daemon.docker().unwrap().inspect("only-in-one:1").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_restored_vm_is_set_to_the_hosts_time() {
    let host_time = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let start = host_time();
    let bench = restored().await;
    let guest: f64 = bench.guest("date +%s.%N").await.trim().parse().unwrap();
    // While the VM starts, its clock is set to the time at which it is asked to do so.
    let range = start..host_time() + 0.1;
    assert!(range.contains(&guest), "guest {guest}, host {range:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_vms_in_a_row_and_four_at_once_become_ready() {
    let mut benches = Vec::new();
    for _ in 0..8 {
        benches.push(restored().await);
    }
    let pids: BTreeSet<u32> = benches.iter().map(|bench| bench.daemon.vm().pid()).collect();
    assert_eq!(pids.len(), 8);
    drop(benches);
    let (a, b, c, d) = tokio::join!(restored(), restored(), restored(), restored());
    for bench in [a, b, c, d] {
        assert_eq!(bench.daemon.docker().unwrap().ping().await.unwrap(), "OK");
    }
}

/// The last event of the timeline.
const READY: &str = "API and containerd respond";

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cold_boot_the_timeline_is_in_order_and_images_load_and_run() {
    let bench = Workbench::with(Options { cold: true, ..Options::default() }).await;
    let events = bench.daemon.timeline().events();
    let names: Vec<&str> = events.iter().map(|event| event.what.as_str()).collect();
    let expected = [
        "first console output",
        "guest responds",
        "guest agent responds",
        "API socket listens",
        READY,
    ];
    assert_eq!(names, expected);
    assert!(events.is_sorted_by_key(|event| event.at));
    let timeline = bench.daemon.timeline_with_units().await.unwrap();
    let when = |what: &str| {
        timeline.time_of(what).unwrap_or_else(|| panic!("{what} is missing in\n{timeline}"))
    };
    assert!(when("sockets.target is active") + Duration::from_secs(1) < when(READY), "{timeline}");
    assert!(when("containerd.service is active") <= when(READY), "{timeline}");
    let image = bench.load(RECIPE).await;
    let options = RunOptions::command(&["/bin/echo", "hello"]);
    let output = image.run(&options, RUN_TIMEOUT).await.unwrap();
    assert_eq!(output.stdout, "hello\n");
}

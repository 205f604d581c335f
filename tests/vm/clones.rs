use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seatrial::engine::RunOptions;
use seatrial::vm::Options;

use crate::dock::{Dock, RUN};

fn at_once() -> Options {
    Options { skip_slot_queue: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_restored_in_the_same_second_differ_in_what_they_must_and_share_nothing() {
    let (one, two) = tokio::join!(Dock::with(at_once()), Dock::with(at_once()));
    let (mut random, mut containers) = (Vec::new(), Vec::new());
    for dock in [&one, &two] {
        random.push(dock.guest("head -c 32 /dev/urandom | od -An -tx1").await);
        let image = dock.load("name='x'\ntag='1'\ncontents='rootfs'\n").await;
        let container = dock
            .daemon
            .engine()
            .start(image.reference(), &RunOptions::command(&["/bin/true"]))
            .await;
        containers.push(container.unwrap().id().to_owned());
    }
    assert_ne!(random[0], random[1], "the kernel's random stream");
    assert_ne!(containers[0], containers[1], "what dockerd makes of it");
    one.guest("echo mine >/var/lib/docker/mark; echo mine >/mark").await;
    assert_eq!(
        two.guest("ls /var/lib/docker/mark /mark 2>/dev/null || echo absent").await,
        "absent\n"
    );
    one.load("name='only-in-one'\ntag='1'\ncontents='rootfs'\n").await;
    two.daemon.docker().unwrap().inspect("only-in-one:1").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_restored_machine_is_the_hosts() {
    let dock = Dock::with(at_once()).await;
    let guest: f64 = dock.guest("date +%s.%N").await.trim().parse().unwrap();
    let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((guest - host).abs() < 2.0, "guest {guest}, host {host}");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_in_a_row_and_four_at_once_are_all_ready() {
    let mut kept = Vec::new();
    for _ in 0..8 {
        kept.push(Dock::with(at_once()).await);
    }
    let pids: std::collections::BTreeSet<u32> =
        kept.iter().map(|dock| dock.daemon.vm().pid()).collect();
    assert_eq!(pids.len(), 8);
    drop(kept);
    let four = || Dock::with(at_once());
    let (a, b, c, d) = tokio::join!(four(), four(), four(), four());
    for dock in [a, b, c, d] {
        assert_eq!(dock.daemon.docker().unwrap().ping().await.unwrap(), "OK");
    }
}

/// What is noted of an engine that is ready.
const ANSWERS: &str = "/_ping says OK, what it needs accepts";

#[tokio::test(flavor = "multi_thread")]
async fn a_load_and_a_run_work_after_a_cold_boot_too_and_its_timeline_is_in_order() {
    let dock = Dock::with(Options { cold: true, ..Options::default() }).await;
    let events = dock.daemon.timeline().events();
    let names: Vec<&str> = events.iter().map(|event| event.what.as_str()).collect();
    let expected = [
        "the kernel speaks",
        "the guest answers",
        "the guest agent answers",
        "the API's socket listens",
        ANSWERS,
    ];
    assert_eq!(names, expected);
    assert!(events.is_sorted_by_key(|event| event.at));
    let timeline = dock.daemon.timeline_with_units().await.unwrap();
    let when = |what: &str| {
        timeline.time_of(what).unwrap_or_else(|| panic!("{what} is not in\n{timeline}"))
    };
    assert!(
        when("sockets.target is active") + Duration::from_secs(1) < when(ANSWERS),
        "{timeline}"
    );
    assert!(when("containerd.service is active") <= when(ANSWERS), "{timeline}");
    let image = dock.load("name='x'\ntag='1'\ncontents='rootfs'\n").await;
    let output = image.run(&RunOptions::command(&["/bin/echo", "hello"]), RUN).await.unwrap();
    assert_eq!(output.stdout, "hello\n");
}

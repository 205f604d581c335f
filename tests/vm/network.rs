//! The network of containers.

use std::net::TcpListener;

use seatrial::engine::{Mount, RunOptions};
use seatrial::vm::{Egress, Options};

use crate::workbench::{GUEST, RUN_TIMEOUT, Workbench};

const RECIPE: &str = "name='net'\ntag='1'\ncontents='rootfs'\n";

#[tokio::test(flavor = "multi_thread")]
async fn published_ports_the_bridge_and_user_defined_networks_work() {
    let bench = Workbench::new().await;
    bench.load(RECIPE).await;
    let serve = "/bin/sh -c 'nc -ll -p 80 -e /bin/echo hello'";
    bench.guest(&format!("docker run -d -p 8080:80 --name published net:1 {serve} >&2")).await;
    // Docker's proxy accepts connections before the server in the container does.
    let published = "for attempt in $(seq 100); do \
                         answer=$(busybox nc 127.0.0.1 8080 </dev/null); \
                         if [ -n \"$answer\" ]; then echo \"$answer\"; exit; fi; sleep 0.5; \
                     done";
    assert_eq!(bench.guest(published).await, "hello\n", "a published port");
    let inspect = "docker inspect -f '{{.NetworkSettings.IPAddress}}' published";
    let address = bench.guest(inspect).await;
    let bridge = format!("docker run --rm net:1 /bin/nc {} 80 </dev/null", address.trim());
    assert_eq!(bench.guest(&bridge).await, "hello\n", "the bridge");
    let create = format!(
        "docker network create own >&2; \
         docker run -d --network own --name server net:1 {serve} >&2"
    );
    bench.guest(&create).await;
    let by_name = "docker run --rm --network own net:1 /bin/nc server 80 </dev/null";
    assert_eq!(bench.guest(by_name).await, "hello\n", "a user-defined network, by name");
}

/// dockerd sets up the network of the engine's container, and not of the one that the harness runs.
/// Newer versions add comments to `/etc/resolv.conf`, and write `::0` as `::`.
async fn a_command_without_a_network_finds_the_same(engine: &str) {
    let bench = Workbench::on(engine).await;
    let image = bench.load(RECIPE).await;
    let script = "cd /etc; busybox stat -c '%n %a %u %g' hosts hostname resolv.conf; \
                  cat hosts; busybox grep ^[a-z] resolv.conf; \
                  echo own >>hosts; echo own >>resolv.conf; \
                  [ $(cat hostname) = $(busybox hostname) ] && ls /sys/class/net; \
                  busybox ping -c 1 localhost >/dev/null && echo reached";
    let options = RunOptions::command(&["/bin/sh", "-c", script]);
    let by_dockerd = bench.daemon.engine();
    let by_dockerd = by_dockerd.run(image.reference(), &options, RUN_TIMEOUT).await.unwrap();
    assert!(by_dockerd.stdout.ends_with("lo\nreached\n"), "{by_dockerd:?}");
    for _ in 0..2 {
        let output = image.run(&options, RUN_TIMEOUT).await.unwrap();
        assert_eq!(
            output.stdout.replace("::0\t", "::\t"),
            by_dockerd.stdout.replace("::0\t", "::\t")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_mounted_at_etc_hosts_in_a_container_without_a_network() {
    let bench = Workbench::new().await;
    let image = bench.load(RECIPE).await;
    let mounts = vec![Mount::new(bench.path("more/file"), "/etc/hosts")];
    let options = RunOptions { mounts, ..RunOptions::command(&["/bin/cat", "/etc/hosts"]) };
    assert_eq!(image.run(&options, RUN_TIMEOUT).await.unwrap().stdout, "more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_network_finds_the_names_and_interfaces_that_docker_gives_it() {
    a_command_without_a_network_finds_the_same(GUEST).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the nightly run"]
async fn a_command_without_a_network_finds_the_names_and_interfaces_that_newer_dockers_give_it() {
    for engine in ["docker-26", "docker-28", "docker-28-containerd"] {
        a_command_without_a_network_finds_the_same(engine).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_reach_the_hosts_loopback_interface_only_with_egress_to_the_host() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in host.incoming() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"the host\n");
        }
    });
    for egress in [Egress::None, Egress::Network, Egress::Host] {
        let bench = Workbench::with(Options { egress: Some(egress), ..Options::default() }).await;
        let image = bench.load(RECIPE).await;
        // QEMU connects every address of its network that it answers for to the host.
        for address in ["10.0.2.2", "10.0.2.77", "10.0.2.3"] {
            let command = RunOptions::command(&["/bin/nc", "-w", "5", address, &port]);
            let options = RunOptions { network: true, ..command };
            let output = image.run(&options, RUN_TIMEOUT).await.unwrap();
            let reached = output.stdout == "the host\n";
            let must_reach = egress == Egress::Host && address == "10.0.2.2";
            assert!(reached == must_reach || egress == Egress::Host, "{egress}: {output:?}");
        }
        if egress != Egress::Host {
            let script = format!("busybox nc -w 5 10.0.2.2 {port} </dev/null || echo refused");
            assert_eq!(bench.guest(&script).await, "refused\n", "{egress}");
        }
    }
}

use std::net::TcpListener;

use seatrial::engine::RunOptions;
use seatrial::vm::Options;

use crate::dock::{Dock, RUN};

#[tokio::test(flavor = "multi_thread")]
async fn bridge_published_ports_and_user_defined_networks_work() {
    let dock = Dock::new().await;
    dock.load("name='net'\ntag='1'\ncontents='rootfs'\n").await;
    let serve = "nc -ll -p 80 -e /bin/echo hello";
    dock.guest(&format!(
        "docker run -d -p 8080:80 --name published net:1 /bin/sh -c '{serve}' >&2"
    ))
    .await;
    // Docker's proxy accepts before the server in the container does.
    let ask = |address: &str| {
        format!(
            "for i in 1 2 3 4 5 6 7 8 9; do said=$(busybox nc {address} </dev/null); \
             if [ -n \"$said\" ]; then echo \"$said\"; exit; fi; sleep 0.5; done"
        )
    };
    assert_eq!(dock.guest(&ask("127.0.0.1 8080")).await, "hello\n", "a published port");
    let address = dock.guest("docker inspect -f '{{.NetworkSettings.IPAddress}}' published").await;
    let between = format!("docker run --rm net:1 /bin/nc {} 80 </dev/null", address.trim());
    assert_eq!(dock.guest(&between).await, "hello\n", "the bridge, between containers");
    dock.guest(&format!(
        "docker network create own >&2; docker run -d --network own --name server net:1 /bin/sh -c '{serve}' >&2"
    ))
    .await;
    let by_name = "docker run --rm --network own net:1 /bin/nc server 80 </dev/null";
    assert_eq!(dock.guest(by_name).await, "hello\n", "a user-defined network, by name");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_reach_out_only_where_that_was_asked_for() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in host.incoming() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"the host\n");
        }
    });
    for egress in [true, false] {
        let dock = Dock::with(Options { egress, ..Options::default() }).await;
        let image = dock.load("name='net'\ntag='1'\ncontents='rootfs'\n").await;
        let command = RunOptions::command(&["/bin/nc", "-w", "5", "10.0.2.2", &port]);
        let output = image.run(&RunOptions { network: true, ..command }, RUN).await.unwrap();
        assert_eq!(output.stdout == "the host\n", egress, "{output:?}");
    }
}

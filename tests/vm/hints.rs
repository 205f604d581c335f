//! Hints about a service that does not listen where it must, and services that listen on UDP ports.

use serde_json::Value;

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::SampleImage;
use crate::verdicts::{case, mismatches};

/// The image exposes port 80.
const EXPECTATIONS: &str = r#"
[[service]]
name = "at another port"
ready.port = 8000
http = [{ port = 8001, timeout = "1s" }]
container = { user = "0", command = ["exec httpd -f -p 8000 -h /www"] }
[[service]]
name = "without a port"
ready = { exec = ["/bin/busybox", "false"], timeout = "3s" }
container = { user = "0", command = ["exec httpd -f -p 8004 -h /www"] }
[[service]]
name = "for itself"
ready.exec = ["/bin/busybox", "wget", "-qO", "/dev/null", "http://127.0.0.1:8002/"]
http = [{ port = 8002, timeout = "1s" }]
container = { user = "0", command = ["exec httpd -f -p 127.0.0.1:8002 -h /www"] }
[[service]]
name = "of datagrams"
ready.port = "67/udp"
http = [{ port = 8003, timeout = "500ms" }]
[service.container]
user = "0"
command = ["exec busybox udhcpd -f /www/udhcpd.conf"]
capabilities = { add = ["NET_RAW"] }
[[service.container.files]]
path = "/www/udhcpd.conf"
content = """
interface eth0
start 10.1.1.1
end 10.1.1.9
lease_file /www/leases
pidfile /www/pid
"""
"#;

/// Services that do not become ready.
const NO_DATAGRAMS: &str = r#"
[[service]]
name = "at another port for datagrams"
ready = { port = "69/udp", timeout = "1s" }
[service.container]
user = "0"
command = ["exec busybox udhcpd -f /www/udhcpd.conf"]
capabilities = { add = ["NET_RAW"] }
[[service.container.files]]
path = "/www/udhcpd.conf"
content = "interface eth0\nstart 10.1.1.1\nend 10.1.1.9\nlease_file /www/x\npidfile /www/y\n"
[[service]]
name = "with a TCP port in place of a UDP port"
ready = { port = "69/udp", timeout = "1s" }
container = { user = "0", command = ["exec httpd -f -p 69 -h /www"] }
"#;

fn explains_why_a_service_is_not_reached(engine: &str) {
    let sample = SampleImage::new();
    let (_, verdict) = sample.check(&[EXPECTATIONS, NO_DATAGRAMS].concat(), &["--engine", engine]);
    let hints = |name: &str| -> Vec<&str> {
        let mut cases = verdict["cases"].as_array().unwrap().iter();
        let case = cases.find(|case| case["name"] == name && case["outcome"] == "failed");
        let case: &Value = case.unwrap_or_else(|| panic!("{name}: {verdict:#}"));
        let hints = case["hints"].as_array().unwrap().iter();
        hints.map(|hint| hint.as_str().unwrap()).collect()
    };
    let other = "nothing listens on 8001; the service listens on 8000/tcp; the image exposes \
                 80/tcp; let the service listen on 8001, or expect another port";
    assert_eq!(hints("service at another port"), [other]);
    let loopback = "port 8002 listens on 127.0.0.1 only, which nothing outside of the container \
                    reaches; let the service listen on 0.0.0.0";
    assert_eq!(hints("service for itself"), [loopback]);
    // It was ready, and so listened on the UDP port.
    let datagrams = "nothing listens on 8003, nor on any other TCP port; the image exposes 80/tcp; \
                     the output of the service may show why; if it needs more time, raise the \
                     timeout";
    assert_eq!(hints("service of datagrams"), [datagrams]);
    for name in ["at another port for datagrams", "with a TCP port in place of a UDP port"] {
        let found = mismatches(&verdict, &format!("service {name}"));
        assert_eq!(found, ["service: nothing listens on 69/udp for others"]);
    }
    let no_port = "the service listens on 8004/tcp; the image exposes 80/tcp; let the service \
                   listen on an exposed port, or expose its own";
    assert_eq!(hints("service without a port"), [no_port]);
}

/// Over CRI, both are in one pod.
const POD: &str = r#"
[container.other]
ready.port = 8005
container = { user = "0", command = ["exec httpd -f -p 8005 -h /www"] }
[[service]]
name = "on a taken port"
ready.port = 8005
container = { user = "0", command = ["exec httpd -f -p 8005 -h /www"] }
[[service]]
name = "beside another"
ready = { exec = ["/bin/busybox", "false"], timeout = "3s" }
http = [{ port = 8007 }]
container = { user = "0", command = ["exec httpd -f -p 8006 -h /www"] }
"#;

fn tells_the_ports_of_containers_apart(engine: &str) {
    let sample = SampleImage::new();
    let (_, verdict) = sample.check(POD, &["--engine", engine]);
    let hint = "nothing listens on 8007; the service listens on 8006/tcp; the image exposes \
                80/tcp; let the service listen on 8007, or expect another port";
    assert_eq!(case(&verdict, "service beside another")["hints"], serde_json::json!([hint]));
    let taken = "container other of the pod listens on 8005, and the containers of a pod share \
                 their ports; let the service listen on another port";
    let second = case(&verdict, "service on a taken port");
    match is_cri(engine) {
        true => assert_eq!(second["hints"], serde_json::json!([taken]), "{verdict:#}"),
        false => assert_eq!(second["outcome"], "passed", "{verdict:#}"),
    }
}

#[test]
#[ignore = "for the nightly run"]
fn ports_of_containers_beside_a_service_are_not_its_own_on_each_engine() {
    on_each_engine(&["containerd-1.7"], tells_the_ports_of_containers_apart);
}

#[test]
fn a_service_that_is_not_reached_has_hints_where_it_listens_on_each_engine() {
    on_each_engine(&["containerd-1.7"], explains_why_a_service_is_not_reached);
}

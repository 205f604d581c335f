//! The resources and the network of VMs in expectations files and on the command line.

use std::net::TcpListener;

use crate::each_engine::on_each_engine;
use crate::sample_image::{SampleImage, outcomes};

/// `PORT` stands for a port of the host. QEMU's address of the host is 10.0.2.2.
const REACHES_THE_HOST: &str = r#"
[[run]]
name = "host"
container.network = true
container.shell = "/bin/busybox nc -w 5 10.0.2.2 PORT </dev/null"
stdout = "the host\n"
"#;

/// Answers all connections, and returns the expectation that a container gets the answer.
fn answer_on_the_host() -> String {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in host.incoming() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"the host\n");
        }
    });
    REACHES_THE_HOST.replace("PORT", &port)
}

/// The size of the disk is that of the file system that has the containers' files.
const RESOURCES: &str = r#"
[vm]
memory_mib = 700
cpus = 2
disk_gib = 24
egress = "host"
[[run]]
name = "resources"
stdout = "memory 1\ncpus 1\ndisk 1\n"
container.shell = """
/bin/busybox awk '/^MemTotal/ { print "memory", ($2 < 700 * 1024) }' /proc/meminfo
echo cpus $(/bin/busybox nproc)
/bin/busybox df -P / | /bin/busybox awk 'END { print "disk", ($2 > 20 * 1024 * 1024) }'"""
"#;

#[test]
fn a_vm_has_the_resources_of_the_file_unless_the_command_line_has_others_on_each_engine() {
    on_each_engine(&["docker-20.10"], has_the_resources_of_the_file);
}

fn has_the_resources_of_the_file(engine: &str) {
    let sample = SampleImage::new();
    let expectations = RESOURCES.to_owned() + &answer_on_the_host();
    let (output, verdict) = sample.check(&expectations, &["--cpus", "1", "--engine", engine]);
    assert!(output.status.success(), "{verdict:#}");
    let outcomes = outcomes(&verdict);
    for name in ["run resources", "run host"] {
        assert!(outcomes.contains(&(name, "passed")), "{verdict:#}");
    }
}

#[test]
#[ignore = "for the nightly run"]
fn the_host_is_not_reached_without_egress_on_each_engine() {
    on_each_engine(&["docker-20.10"], does_not_reach_the_host);
}

fn does_not_reach_the_host(engine: &str) {
    let sample = SampleImage::new();
    let (_, verdict) = sample.check(&answer_on_the_host(), &["--engine", engine]);
    assert!(outcomes(&verdict).contains(&("run host", "failed")), "{verdict:#}");
}

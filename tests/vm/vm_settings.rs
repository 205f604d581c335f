//! The resources of VMs in expectations files and on the command line.

use crate::sample_image::{SampleImage, outcomes};

#[test]
fn a_vm_has_the_resources_of_the_file_unless_the_command_line_has_others() {
    let sample = SampleImage::new();
    let expectations = r#"
[vm]
memory_mib = 700
cpus = 2
[[run]]
name = "memory"
container.shell = "/bin/busybox awk '/^MemTotal/ { print $2 < 700 * 1024 }' /proc/meminfo"
stdout = "1\n"
[[run]]
name = "cpus"
container.shell = "/bin/busybox nproc"
stdout = "1\n"
"#;
    let (output, verdict) = sample.check(expectations, &["--cpus", "1"]);
    assert!(output.status.success(), "{verdict:#}");
    let outcomes = outcomes(&verdict);
    assert!(outcomes.contains(&("run memory", "passed")), "{verdict:#}");
    assert!(outcomes.contains(&("run cpus", "passed")), "{verdict:#}");
}

//! Settings of containers and the accounts of their image: cases of a test in `services`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::sample_image::SampleImage;

/// Settings that belong to a pod over CRI, so there is no container beside these.
const SETTINGS: &str = r#"
[[run]]
name = "limits"
stdout = """
67108864
99
7
in 9
read-only
kept
deck
80
"""
[run.container]
memory_mib = 64
pids_limit = 99
groups = ["9"]
read_only = true
tmpfs = ["/scratch"]
hostname = "deck"
sysctls = { "net.ipv4.ip_unprivileged_port_start" = "80" }
shell = """
cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; id -u
case " $(id -G) " in *' 9 '*) echo in 9 ;; esac
(echo x >/www/x) 2>/dev/null || echo read-only
echo kept >/scratch/x && cat /scratch/x
busybox hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"""
[[run]]
name = "files"
stdout = "given\n640\nread\n10.1.2.3\tbeside\n"
[run.container]
user = "0"
network = true
hosts = { beside = "10.1.2.3" }
files = [
  { path = "/etc/given", content = "given\n", mode = "0640" },
  { path = "/etc/read", source = "read.txt" },
]
shell = """
cat /etc/given; busybox stat -c %a /etc/given; cat /etc/read; busybox grep beside /etc/hosts"""
[[run]]
name = "mounts"
stdout = "deep\n640 0\nread\nread-only\n"
[run.container]
user = "0"
read_only = true
mounts = [{ path = "/srv/conf", source = "conf" }, { path = "/etc/read", source = "read.txt" }]
shell = """
cat /srv/conf/link; busybox stat -c '%a %u' /srv/conf/in/file; cat /etc/read
(echo x >/srv/conf/x) 2>/dev/null || echo read-only"""
[[run]]
name = "changes a writable mount"
[run.container]
user = "0"
mounts = [{ path = "/srv/data", source = "conf", writable = true }]
shell = "echo new >/srv/data/new && echo changed >/srv/data/in/file"
[[run]]
name = "sees the changes of others"
stdout = "new\nchanged\n"
[run.container]
user = "0"
mounts = [{ path = "/data", source = "conf", writable = true }]
shell = "cat /data/new /data/in/file"
"#;

/// Users and groups of the image's files. Over CRI, groups have numbers.
const ACCOUNTS: &str = r#"
[[run]]
name = "user by name"
container = { user = "web", shell = "id -u; id -g" }
stdout = "5\n6\n"
[[run]]
name = "group by name"
container = { user = "web", groups = ["log"], shell = 'for id in $(id -G); do echo "<$id>"; done' }
stdout = { contains = "<21>" }
"#;

/// Makes `pod_settings.toml` with these cases, and the files that they mount. Returns one that
/// stays as it is.
pub fn make_pod_settings(sample: &SampleImage) -> PathBuf {
    let cases = [SETTINGS, ACCOUNTS].concat();
    std::fs::write(sample.path("pod_settings.toml"), cases).unwrap();
    std::fs::write(sample.path("read.txt"), "read\n").unwrap();
    let file = sample.path("conf/in/file");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "deep\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("in/file", sample.path("conf/link")).unwrap();
    file
}

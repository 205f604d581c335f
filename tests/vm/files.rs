//! Owners, capabilities, accounts and removed paths, as Docker unpacks them and containers see
//! them.

use std::process::Command;

use crate::each_engine::on_each_engine;
use crate::sample_image::SampleImage;
use crate::workbench::{Workbench, run};

/// Contents on a base: a program that may use port 80, and the same one without that.
const RECIPE: &str = r#"
name = "files"
tag = "1"
from_image = "base.tar"
contents = [{ source = "more", target = "/srv/app", owner = "app", mode = "go-rwx" }]
[[path]]
path = "/usr/local/bin/nc"
source = "/bin/busybox"
mode = "0755"
capabilities = "cap_net_bind_service=ep"
xattrs = { "user.comment" = "kept" }
[[path]]
path = "/usr/local/bin/cat"
type = "hardlink"
target = "/usr/local/bin/nc"
[[path]]
path = "/etc/secret"
remove = true
[[path]]
path = "/opt"
remove = true
[[path]]
path = "/usr/share"
remove = true
[[path]]
path = "/usr/share/new"
content = "new"
[[path]]
path = "/etc/hosts.d"
remove = true
[[path]]
path = "/etc/hosts.d"
content = "a file"
[[path]]
path = "/etc/note"
owner = "app"
[accounts]
users = [{ name = "app", uid = 1000, home = "/srv/app", groups = "video" }]
groups = [{ name = "video", gid = 44 }]
[config]
User = "app"
Env = ["PATH=/bin"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_accounts_owners_and_whiteouts_work_in_containers() {
    let bench = Workbench::new().await;
    for path in ["etc/secret", "etc/note", "opt/old/file", "usr/share/old", "etc/hosts.d/old"] {
        let path = bench.path("rootfs").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    bench.build("name='base'\ntag='1'\ncontents='rootfs'\n", "base.tar");
    bench.load(RECIPE).await;
    // By default, Docker lets everyone use all ports.
    let limit = "--sysctl net.ipv4.ip_unprivileged_port_start=1024";
    let run = |options: &str, script: &str| {
        format!("docker run --rm {options} files:1 /bin/sh -c '{script}' 2>&1 || true")
    };
    // Waits a second for a client that does not come.
    let listen = |program: &str| format!("{program} -l -p 80 -w 1");
    let with = bench.guest(&run(limit, &listen("/usr/local/bin/nc"))).await;
    assert!(with.contains("timed out"), "{with}");
    let without = bench.guest(&run(limit, &listen("/bin/nc"))).await;
    assert!(without.contains("Permission denied"), "{without}");
    // A hard link is the same file; bit 10 is cap_net_bind_service.
    let script = "/usr/local/bin/cat /proc/self/status";
    let status = bench.guest(&run("", script)).await;
    assert!(status.contains("CapEff:\t0000000000000400"), "{status}");
    let id = bench.guest(&run("", "id; cd; ls -ld . file; ls -l /etc/note")).await;
    assert!(id.contains("uid=1000(app) gid=1000(app)") && id.contains("44(video)"), "{id}");
    assert_eq!(id.matches(" app      app ").count(), 3, "{id}");
    assert!(id.contains("drwx------") && id.contains("-rw-------"), "{id}");
    let gone = bench.guest(&run("", "cat /etc/secret; ls /opt; ls /etc")).await;
    assert_eq!(gone.matches("No such file or directory").count(), 2, "{gone}");
    assert!(gone.contains("passwd"), "{gone}");
    let again = bench.guest(&run("", "ls -A /usr/share; cat /etc/hosts.d")).await;
    assert_eq!(again, "new\na file");
}

/// Adds names of one file with other metadata than the file has.
const LINKS: &str = "
    import io, tarfile
    tar = tarfile.open('rootfs.tar', 'a')
    def add(path, link, mode, owner, time):
        member = tarfile.TarInfo(path)
        member.mode, member.uid, member.gid, member.mtime = mode, owner, owner, time
        if link: member.type, member.linkname = tarfile.LNKTYPE, link
        else: member.size = 4
        tar.addfile(member, io.BytesIO(b'file'))
    add('linked', '', 0o644, 1, 100)
    add('www/other', 'linked', 0o4755, 2, 200)
    add('last', 'www/other', 0o604, 3, 300)
    tar.close()";

/// An image of which a layer was made by another tool.
fn image_with_links(sample: &SampleImage) {
    let python: String =
        LINKS.lines().map(|line| line.get(4..).unwrap_or("").to_owned() + "\n").collect();
    let script = "tar -cf rootfs.tar -C rootfs . && python3 -c \"$1\" &&
        umoci init --layout layout && umoci new --image layout:t &&
        umoci raw add-layer --image layout:t rootfs.tar &&
        umoci config --image layout:t --architecture amd64 --config.user 0 &&
        skopeo copy --quiet oci:layout:t docker-archive:links.tar:links:1";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", &python]).current_dir(sample.0.path());
    assert!(run(&mut shell).status.success());
}

#[test]
fn all_names_of_a_file_have_the_metadata_of_its_last_entry_on_each_engine() {
    let sample = SampleImage::new();
    image_with_links(&sample);
    let paths = ["/linked", "/www/other", "/last"];
    let file = |path| format!("[[file]]\npath='{path}'\nmode='0604'\nuid=3\ngid=3\nsize=4\n");
    let files: String = paths.iter().map(file).collect();
    let line = "604 3:3 300 4\\n".repeat(3);
    let run = format!(
        "[[run]]\nname='stat'\nstdout=\"{line}\"\n[run.container]\n\
         shell=\"/bin/busybox stat -c '%a %u:%g %Y %s' {}\"\n",
        paths.join(" ")
    );
    let expectations = files + &run;
    std::fs::write(sample.path("e.toml"), expectations).unwrap();
    on_each_engine(&["docker-20.10"], |engine| {
        let check = ["check", "links.tar", "--expect", "e.toml", "--engine", engine];
        let output = sample.seatrial(&check);
        assert!(output.status.success(), "{output:?}");
    });
}

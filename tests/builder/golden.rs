//! The SHA-256 digests of whole uncompressed archives, which must not change by accident.
//!
//! The inputs are written here with fixed modes, the architectures are fixed, and each recipe is
//! built twice, in two folders and with different numbers of threads. So the digests depend on the
//! program alone.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::lab::{Lab, STORE};

/// A recipe, the format it is built in, and the sha256 of its archive.
struct Pin {
    name: &'static str,
    format: &'static str,
    recipe: &'static str,
    sha256: &'static str,
}

const PINS: &[Pin] = &[
    Pin {
        name: "no contents",
        format: "docker",
        recipe: "name='x/empty'\narchitecture='amd64'\n[config]\nCmd=['/bin/sh']\n",
        sha256: "c030abf0f2676dfb4db146f849782cd655a2efb94b2fe7192625ab873368edda",
    },
    Pin {
        name: "single layer",
        format: "docker",
        recipe: r#"
name = "registry.example:5000/x/single"
tag = "1"
layering = "single"
architecture = "amd64"
created = "2024-02-29T12:34:56Z"
mtime = "2001-09-09T01:46:40Z"
uid = 3000000
gid = 1000
uname = "user"
gname = "group"
contents = "tree"
[config]
Env = ["PATH=/bin", "A=1", "PATH=/usr/bin"]
Cmd = ["/bin/su", "-"]
Labels = { b = "2", a = "1" }
ExposedPorts = { "80/tcp" = {} }
"#,
        sha256: "600bae83bca6ace2cab189d1046f8af2d53c47fd4d3873ad436fd2833c034972",
    },
    Pin {
        name: "contents without a store, derived tag",
        format: "docker",
        recipe: "name='x/files'\narchitecture='arm'\nvariant='v7'\ncontents=['tree', 'own']\n",
        sha256: "0589be28fc58cd25be89f498cd8b5ef2c585aec85d8419f568d5d3413352affc",
    },
    Pin {
        name: "layered with a store, derived tag",
        format: "docker",
        recipe: "name='x/layered'\narchitecture='amd64'\nmax_layers=3\n\
                 contents=['/nix/store/a-app', 'tree']\n",
        sha256: "2ecace10c6615af340858115d6b81f6671da213594bd7cb9738af95a966cd81c",
    },
    Pin {
        name: "single layer with a store",
        format: "docker",
        recipe: "name='x/single'\nlayering='single'\narchitecture='arm64'\n\
                 contents=['/nix/store/a-app', '/nix/store/b-zlib']\n",
        sha256: "02a9e04e2bad205575f6ea754ff3535b84d4c33f285398e040c472efec7d40e8",
    },
    Pin {
        name: "layered on a base image",
        format: "docker",
        recipe: "name='x/on-base'\narchitecture='amd64'\nfrom_image='base.tar'\ninherit='all'\n\
                 replace='/etc/hosts'\ncontents=['own', '/nix/store/a-app']\n",
        sha256: "1c64c03d80ea9dff85d4d47e52e1bd7d634c2e95293b16142af9d2157e34ee8f",
    },
    Pin {
        name: "single layer on a base image of docker save",
        format: "docker",
        recipe: "name='x/on-saved'\ntag='1'\nlayering='single'\narchitecture='amd64'\n\
                 from_image='saved.tar'\ncontents='own'\nconfig={ Env=['B=2', 'A=2'] }\n",
        sha256: "3cf824d99a18cae8147b62c58ae82034caee4558030c86cd0cbc135cf272fbc1",
    },
    Pin {
        name: "OCI layout",
        format: "oci",
        recipe: "name='x/oci'\ntag='1'\narchitecture='amd64'\n\
                 contents=['/nix/store/a-app', 'tree']\n",
        sha256: "a92fc5e1736547d166f7d8b79a00479f4551f9f1b566446efe0154f62e03734a",
    },
    Pin {
        name: "OCI layout on a base image",
        format: "oci",
        recipe: "name='x/oci'\ntag='1'\narchitecture='amd64'\nfrom_image='base.tar'\n\
                 contents='own'\n",
        sha256: "46d72eeaa3120b20e4b894a6aaa8af5a9ad2858fe1d62f1971fba51a1e426563",
    },
    Pin {
        name: "docker-archive and OCI layout in one",
        format: "dual",
        recipe: "name='x/dual'\ntag='1'\narchitecture='amd64'\n\
                 contents=['/nix/store/a-app', 'tree']\n",
        sha256: "02fd3c44b61676070ef5f84ffb385f81d3fb688fe7b4f9f5316bd3adbbed2a5e",
    },
    Pin {
        name: "two platforms",
        format: "oci",
        recipe: "name='x/multi'\ntag='1'\nplatforms=['linux/amd64', 'linux/arm64']\n\
                 contents='own'\n[per_platform.\"linux/arm64\"]\ncontents=['own', 'tree']\n",
        sha256: "4f117007de81ef65930cbce030f6b16cb8ce38eab45561beded7a1ddfdccdcbd",
    },
];

#[test]
fn uncompressed_archives_keep_their_bytes() {
    let (one, other) = (inputs(), inputs());
    let mut changed = String::new();
    for Pin { name, format, recipe, sha256 } in PINS {
        let recipe = with_store(recipe);
        let build = |lab: &Lab, threads| {
            lab.build_with(&recipe, "out.tar", &["--format", format, "--threads", threads]).bytes
        };
        let built = build(&one, "1");
        assert!(built == build(&other, "4"), "{name}: the folder or thread count changes bytes");
        let found = hex::encode(Sha256::digest(&built));
        if found != *sha256 {
            writeln!(changed, "{name}, {format}:\n expected {sha256}\n found    {found}").unwrap();
        }
    }
    assert!(
        changed.is_empty(),
        "the bytes of uncompressed archives changed:\n{changed}\
         The project promises that they never do. To change them deliberately, add a line to \
         CHANGELOG.md and pin the digests found here; otherwise fix the code that changed them."
    );
}

#[test]
fn a_stream_has_the_bytes_of_the_pinned_archive() {
    let lab = inputs();
    for Pin { name, recipe, sha256, .. } in PINS.iter().filter(|pin| pin.format == "docker") {
        lab.file("recipe.toml", with_store(recipe));
        let stream = lab.seatrial(["stream", "recipe.toml"]).output;
        assert!(stream.status.success(), "{name}: {}", String::from_utf8_lossy(&stream.stderr));
        assert_eq!(hex::encode(Sha256::digest(&stream.stdout)), *sha256, "{name}");
    }
}

/// Adds the store's table to recipes that use the store.
fn with_store(recipe: &str) -> String {
    let store = if recipe.contains("/nix/store") { STORE } else { "" };
    format!("{recipe}{store}")
}

/// A folder with everything that the recipes read.
fn inputs() -> Lab {
    let lab = Lab::new();
    tree(&lab);
    lab.file("own/etc/hosts", "127.0.0.1 localhost\n");
    lab.file("own/bin/tool", "tool");
    lab.store(&[("a-app", &["b-zlib", "c-libc"]), ("b-zlib", &["c-libc"]), ("c-libc", &[])]);
    lab.link("store/b-zlib/lib/libz.so", "../../c-libc/bin/libc");
    base(&lab);
    for folder in ["tree", "own", "store", "base"] {
        fixed_modes(&lab.path(folder));
    }
    lab.mode("tree/bin/su", 0o4755);
    lab.mode("tree/tmp", 0o1777);
    lab.mode("tree/var/empty", 0o700);
    lab.mode("tree/pipe", 0o620);
    lab.seatrial(["build", "base.toml", "-o", "base.tar"]).ok();
    saved(&lab);
    lab
}

/// Files that are hard to put into a tar.
fn tree(lab: &Lab) {
    lab.file("tree/bin/su", "setuid");
    lab.file("tree/empty", "");
    lab.file("tree/block", [b'x'; 512]);
    lab.file("tree/large", "0123456789abcde\n".repeat(20_000));
    let (long, longer) = ("l".repeat(60), "m".repeat(150));
    lab.file(format!("tree/{long}/{long}/split"), "fits into prefix and name");
    lab.file(format!("tree/{longer}/{longer}"), "fits into neither");
    lab.link("tree/long-link", &format!("/{longer}"));
    lab.file("tree/usr/lib/libc.so", "libc");
    lab.link("tree/lib", "usr/lib");
    lab.link("tree/dangling", "/absent");
    lab.file("tree/größe", "UTF-8");
    lab.file(Path::new("tree").join(OsStr::from_bytes(b"caf\xe9")), "not UTF-8");
    symlink(OsStr::from_bytes(b"\xff"), lab.path("tree/raw-link")).unwrap();
    fs::create_dir_all(lab.path("tree/var/empty")).unwrap();
    fs::create_dir_all(lab.path("tree/tmp")).unwrap();
    lab.tool("mkfifo", ["tree/pipe"]);
}

/// The recipe of a base image with a merged /usr.
fn base(lab: &Lab) {
    lab.file("base/usr/bin/sh", "shell");
    lab.link("base/bin", "usr/bin");
    lab.file("base/etc/hosts", "replaced");
    let recipe = "name='base'\ntag='1'\nlayering='single'\narchitecture='amd64'\ncontents='base'\n\
                  keep_contents_dirlinks=true\n\
                  [config]\nEntrypoint=['/init']\nEnv=['A=1', 'PATH=/bin']\nLabels={ a='b' }\n";
    lab.file("base.toml", recipe);
}

/// Writes a base image as `docker save` did, with no header field left to chance.
fn saved(lab: &Lab) {
    let layer = tar(&[("etc/os-release", b"ID=golden\n")]);
    let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","created":"2020-01-02T03:04:05.678Z",
        "docker_version":"20.10.5","config":{{"Env":["A=1"],"Cmd":["sh"]}},
        "history":[{{"created":"2020-01-02T03:04:05Z","created_by":"ADD file in /"}}],
        "rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let manifest = r#"[{"Config":"config.json","RepoTags":["saved:1"],"Layers":["1/layer.tar"]}]"#;
    let archive = tar(&[
        ("1/layer.tar", &layer),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
    ]);
    lab.file("saved.tar", archive);
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Gives all folders mode 755 and all files mode 644, whatever the umask is.
fn fixed_modes(path: &Path) {
    let kind = path.symlink_metadata().unwrap().file_type();
    if kind.is_symlink() {
        return;
    }
    let mode = if kind.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if kind.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| fixed_modes(&entry.unwrap().path()));
    }
}

//! The fixture: Nix with a store of its own in the target folder, and readers of images.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// The folder with Nix's store and configuration.
fn root() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("nix")
}

/// The folder of the programs that Nix' builds use.
fn programs() -> PathBuf {
    root().join("programs")
}

/// Prepares the folder, once for a test run. Other runs may use it at the same time.
fn prepare() {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        for (name, file) in
            [("busybox", "/bin/busybox"), ("seatrial", env!("CARGO_BIN_EXE_seatrial"))]
        {
            fs::create_dir_all(programs().join(name)).unwrap();
            replace(&format!("programs/{name}/{name}"), &fs::read(file).unwrap());
        }
        let debian = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/debian");
        assert!(Path::new(debian).exists(), "{debian} is missing; see ci/setup");
        let link = programs().join("debian");
        match std::os::unix::fs::symlink(debian, &link) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.unwrap(),
        }
        configure(true);
        if !nix(&["nix-build", "--no-out-link", "-E", PROBE]).status.success() {
            configure(false);
        }
    });
}

/// A build that works if the sandbox does.
const PROBE: &str = r#"derivation { name = "probe"; system = "x86_64-linux"; builder = "/bin/sh";
    args = [ "-c" "echo > $out" ]; }"#;

/// Writes a file of the folder, so that it is complete at every time.
fn replace(name: &str, content: &[u8]) {
    let file = tempfile::NamedTempFile::new_in(root()).unwrap();
    fs::write(file.path(), content).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o755)).unwrap();
    file.persist(root().join(name)).unwrap();
}

fn configure(sandbox: bool) {
    let conf = format!(
        "experimental-features = nix-command\nbuilders =\nsubstituters =\nbuild-users-group =\n\
         sandbox = {sandbox}\n\
         sandbox-paths = /bin/sh={} /usr /lib /lib64 /etc/alternatives\n",
        programs().join("busybox/busybox").display()
    );
    replace("nix.conf", conf.as_bytes());
}

/// Runs one of Nix's programs with the store of the tests.
fn nix(command: &[&str]) -> Output {
    let mut program = Command::new(command[0]);
    program.arg("--store").arg(root().join("root")).args(&command[1..]);
    program.env("NIX_CONF_DIR", root()).env("HOME", root()).env_remove("NIX_PATH");
    program.env_remove("NIX_REMOTE").current_dir(env!("CARGO_MANIFEST_DIR"));
    program.output().unwrap_or_else(|error| panic!("{command:?}: {error}; see ci/setup"))
}

/// Runs one of Nix's programs, which must succeed, and returns its output.
pub fn nix_output(command: &[&str]) -> String {
    prepare();
    let output = nix(command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stderr}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The arguments that select attribute `name` of `cases.nix`.
pub fn case(name: &str) -> [String; 6] {
    let programs = programs().display().to_string();
    ["tests/nix/cases.nix", "--argstr", "programs", &programs, "-A", name].map(str::to_owned)
}

/// Builds attribute `name` of `cases.nix`, and returns its store path.
pub fn store_path(name: &str) -> String {
    let case = case(name);
    let mut command = vec!["nix-build", "--no-out-link"];
    command.extend(case.iter().map(String::as_str));
    nix_output(&command).lines().next().unwrap().to_owned()
}

/// Where the store path `path` is on this host.
pub fn on_host(path: &str) -> PathBuf {
    root().join("root").join(path.strip_prefix('/').unwrap())
}

/// Builds attribute `name`, and returns where it is on this host.
pub fn built(name: &str) -> PathBuf {
    on_host(&store_path(name))
}

/// The error of the evaluation of attribute `name`.
pub fn refused(name: &str) -> String {
    prepare();
    let case = case(name);
    let mut command = vec!["nix-instantiate"];
    command.extend(case.iter().map(String::as_str));
    let output = nix(&command);
    assert!(!output.status.success(), "{name} is not refused");
    String::from_utf8(output.stderr).unwrap()
}

/// The value of attribute `name`.
pub fn evaluated(name: &str) -> Value {
    let case = case(name);
    let mut command = vec!["nix-instantiate", "--eval", "--strict", "--json"];
    command.extend(case.iter().map(String::as_str));
    serde_json::from_str(&nix_output(&command)).unwrap()
}

/// Runs the executable `name`, which streams an image, and returns what it writes. Its paths are
/// those within Nix's store, so it runs where that store is at `/nix`.
pub fn streamed(name: &str, arguments: &[&str]) -> Vec<u8> {
    let path = store_path(name);
    let nix = root().join("root/nix").display().to_string();
    let script = format!("mkdir -p /nix 2>/dev/null; mount --bind {nix} /nix && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", &script, "sh", &path]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An image as other programs read it.
pub struct Image {
    files: BTreeMap<String, Vec<u8>>,
}

/// A member of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub mode: u32,
    pub owner: (u64, u64),
    pub link: String,
    pub content: Vec<u8>,
}

impl Image {
    /// Reads a docker-archive, which may be compressed.
    pub fn read(archive: &[u8]) -> Self {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(&plain(archive)[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), content);
        }
        Self { files }
    }

    /// Builds attribute `name` and reads it.
    pub fn built(name: &str) -> Self {
        Self::read(&fs::read(built(name)).unwrap())
    }

    /// Builds attribute `name` and reads what it streams.
    pub fn streamed(name: &str) -> Self {
        Self::read(&streamed(name, &[]))
    }

    pub fn manifests(&self) -> Vec<Value> {
        serde_json::from_slice(&self.files["manifest.json"]).unwrap()
    }

    /// The reference of the only image.
    pub fn reference(&self) -> String {
        let manifests = self.manifests();
        assert_eq!(manifests.len(), 1);
        manifests[0]["RepoTags"][0].as_str().unwrap().to_owned()
    }

    pub fn config(&self) -> Value {
        let name = self.manifests()[0]["Config"].as_str().unwrap().to_owned();
        serde_json::from_slice(&self.files[&name]).unwrap()
    }

    /// The tar of each layer of the first image, lowest first.
    pub fn layer_tars(&self) -> Vec<Vec<u8>> {
        let manifest = &self.manifests()[0];
        let names = manifest["Layers"].as_array().unwrap();
        names.iter().map(|name| plain(&self.files[name.as_str().unwrap()])).collect()
    }

    /// The members of each layer of the first image, lowest first.
    pub fn layers(&self) -> Vec<BTreeMap<String, Member>> {
        self.layer_tars().iter().map(|layer| members(layer)).collect()
    }

    /// All files, by path without slashes at the ends.
    pub fn tree(&self) -> BTreeMap<String, Member> {
        self.layers().into_iter().flatten().collect()
    }

    /// The names of the store paths in the image, without their hashes.
    pub fn store_paths(&self) -> Vec<String> {
        let tree = self.tree();
        let paths = tree.keys().filter_map(|path| path.strip_prefix("nix/store/"));
        let names = paths.filter(|path| !path.contains('/'));
        names.map(|path| path.split_once('-').unwrap().1.to_owned()).collect()
    }
}

/// The members of the tar of a layer, by path without slashes at the ends.
pub fn members(layer: &[u8]) -> BTreeMap<String, Member> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(layer).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let link = entry.link_name_bytes().unwrap_or_default();
        let member = Member {
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            link: String::from_utf8_lossy(&link).into_owned(),
            content,
        };
        let path = entry.path().unwrap().display().to_string();
        let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/');
        members.insert(path.to_owned(), member);
    }
    members
}

/// A tar, which may be compressed.
fn plain(archive: &[u8]) -> Vec<u8> {
    match archive {
        [0x1f, 0x8b, ..] => decompress("gzip", archive),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => decompress("zstd", archive),
        plain => plain.to_owned(),
    }
}

/// Decompresses with another program.
fn decompress(program: &str, bytes: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let file = fs::File::open(file.path()).unwrap();
    let output = Command::new(program).args(["-dc"]).stdin(file).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

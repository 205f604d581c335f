//! The fixture of all tests: a temporary folder to run the program in, and a reader of its archives
//! that uses the `tar` crate instead of the program's own code.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Whether the tests run as root, who alone can unpack other owners and devices.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A temporary folder in which the program runs, with a cache of its own.
pub struct Lab {
    folder: TempDir,
    cache: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), cache: TempDir::new().unwrap() }
    }

    /// A folder with a store, in which an application depends on zlib and libc, and zlib on libc.
    pub fn with_store() -> Self {
        let lab = Self::new();
        lab.store(&[
            ("a-app", &["b-zlib", "c-libc", "a-app"]),
            ("b-zlib", &["c-libc"]),
            ("c-libc", &[]),
            ("d-unrelated", &[]),
        ]);
        lab
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the folder for caches.
    pub fn cache_path(&self, name: &str) -> PathBuf {
        self.cache.path().join(name)
    }

    /// The paths of the files in the folder `name` of the cache.
    pub fn cached_files(&self, name: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(self.cache.path().join("seatrial").join(name))
            .into_iter()
            .flatten()
            .flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
        files.sort();
        files
    }

    /// Writes a file, and creates its parent folders.
    pub fn file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn link(&self, name: &str, target: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Creates a store for `/nix/store`: store paths with their references, each with a file
    /// `bin/<name>`. [`STORE`] is its table for a recipe.
    pub fn store(&self, paths: &[(&str, &[&str])]) {
        let full = |name: &str| format!("/nix/store/{name}");
        let graph: Vec<Value> = paths
            .iter()
            .map(|(name, references)| {
                let base = name.split_once('-').unwrap().1;
                self.file(format!("store/{name}/bin/{base}"), format!("program {base}\n"));
                let references: Vec<String> = references.iter().map(|name| full(name)).collect();
                json!({ "path": full(name), "references": references, "narSize": 1 })
            })
            .collect();
        self.file("graph.json", Value::from(graph).to_string());
    }

    /// Runs `seatrial` in the folder.
    pub fn seatrial<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(arguments);
        Run::of(command)
    }

    /// A command that runs in the folder, in a clean environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_remove("SOURCE_DATE_EPOCH").env("TZ", "UTC");
        command.env("XDG_CACHE_HOME", self.cache.path());
        command
    }

    /// Runs another program, which must succeed, and returns its output.
    pub fn tool<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let mut command = self.command(program);
        command.args(arguments);
        Run::of(command).ok()
    }

    /// Builds `recipe` and reads the image.
    pub fn build(&self, recipe: &str) -> Built {
        self.build_with(recipe, "out.tar", &[])
    }

    /// Builds `recipe` into `output`, with more arguments.
    pub fn build_with(&self, recipe: &str, output: &str, arguments: &[&str]) -> Built {
        self.file("recipe.toml", recipe);
        let fixed = ["build", "recipe.toml", "--json", "-o", output];
        let summary = self.seatrial(fixed.iter().chain(arguments)).ok();
        let bytes = fs::read(self.path(output)).unwrap();
        Built { bytes, summary: serde_json::from_str(&summary).unwrap() }
    }

    /// Builds `recipe`, which must fail as invalid input and write nothing. Returns the message.
    pub fn rejected(&self, recipe: &str) -> String {
        self.file("recipe.toml", recipe);
        self.seatrial(["build", "recipe.toml", "-o", "rejected.tar"]).rejected(self, "rejected.tar")
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }
}

/// A recipe's table for the store that [`Lab::store`] creates.
pub const STORE: &str = "[store]\nsource = \"store\"\nclosure = \"graph.json\"\n";

/// A finished program.
pub struct Run {
    command: String,
    pub output: Output,
}

impl Run {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        Self { command: format!("{command:?}"), output }
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn report(&self) -> String {
        format!(
            "{}\n{}\nstdout:\n{}\nstderr:\n{}",
            self.command,
            self.output.status,
            self.stdout(),
            self.stderr()
        )
    }

    /// The output of the program, which must have succeeded.
    pub fn ok(self) -> String {
        assert!(self.output.status.success(), "{}", self.report());
        self.stdout()
    }

    /// The message of the program, which must have failed because of invalid input, with a message
    /// of one line, and without writing `output` or leaving a temporary file.
    pub fn rejected(self, lab: &Lab, output: &str) -> String {
        assert_eq!(self.output.status.code(), Some(2), "{}", self.report());
        let message = self.stderr();
        assert_eq!(message.trim_end().lines().count(), 1, "{}", self.report());
        assert!(message.starts_with("seatrial: "), "{}", self.report());
        assert!(!lab.exists(output), "{output} was written\n{}", self.report());
        let left = fs::read_dir(lab.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> =
            left.filter(|name| name.to_string_lossy().starts_with(".seatrial")).collect();
        assert!(left.is_empty(), "{left:?} is left\n{}", self.report());
        message
    }
}

/// A member of a tar, read by the `tar` crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub kind: char,
    pub mode: u32,
    pub owner: (u64, u64),
    pub mtime: u64,
    pub link: String,
    pub content: Vec<u8>,
}

/// The members of a tar, in order.
pub fn members(tar: &[u8]) -> Vec<Member> {
    let mut archive = tar::Archive::new(tar);
    let member = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        Member {
            kind: header.entry_type().as_byte() as char,
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            mtime: header.mtime().unwrap(),
            link: entry
                .link_name_bytes()
                .map(|l| String::from_utf8_lossy(&l).into_owned())
                .unwrap_or_default(),
            name: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            content,
        }
    };
    archive.entries().unwrap().map(member).collect()
}

/// A built image, and the JSON that `build` printed.
pub struct Built {
    pub bytes: Vec<u8>,
    pub summary: Value,
}

impl Built {
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        members(&self.bytes).into_iter().map(|member| (member.name, member.content)).collect()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.files()[name]).unwrap()
    }

    pub fn manifest(&self) -> Value {
        let manifest = self.json("manifest.json");
        assert_eq!(manifest.as_array().unwrap().len(), 1);
        manifest[0].clone()
    }

    pub fn config(&self) -> Value {
        self.json(self.manifest()["Config"].as_str().unwrap())
    }

    /// The layers as stored, lowest first, in the order of `manifest.json`.
    pub fn layer_files(&self) -> Vec<Vec<u8>> {
        let files = self.files();
        strings(&self.manifest()["Layers"]).iter().map(|name| files[name].clone()).collect()
    }

    /// The members of each layer, lowest first.
    pub fn layers(&self) -> Vec<Vec<Member>> {
        let plain = |layer: Vec<u8>| {
            let mut plain = Vec::new();
            match layer.starts_with(&[0x1f, 0x8b]) {
                true => flate2::read::MultiGzDecoder::new(&layer[..])
                    .read_to_end(&mut plain)
                    .map(|_| plain)
                    .unwrap(),
                false => layer,
            }
        };
        self.layer_files().into_iter().map(|layer| members(&plain(layer))).collect()
    }

    /// The names of a layer's members.
    pub fn names(&self, layer: usize) -> Vec<String> {
        self.layers()[layer].iter().map(|member| member.name.clone()).collect()
    }

    /// The member `name` in the highest layer that has it.
    pub fn member(&self, name: &str) -> Option<Member> {
        self.layers()
            .into_iter()
            .rev()
            .find_map(|layer| layer.into_iter().find(|member| member.name == name))
    }

    pub fn env(&self) -> Vec<String> {
        strings(&self.config()["config"]["Env"])
    }

    pub fn tag(&self) -> String {
        self.summary["tag"].as_str().unwrap().to_owned()
    }
}

/// A JSON list of strings.
pub fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

//! Debian's `docker-registry` as a service of a test, and the program's environment.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{Lab, Run};

/// A running registry; it ends when it is dropped.
pub struct Registry {
    process: Child,
    folder: TempDir,
    pub address: SocketAddr,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    /// A registry without TLS and passwords.
    pub fn start() -> Self {
        Self::with("", "")
    }

    /// A registry with more lines in the section `http` of its configuration, and more sections.
    pub fn with(http: &str, sections: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let root = folder.path().display();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\n\
             storage:\n  filesystem: {{rootdirectory: {root}/store}}\n\
             http:\n  addr: {address}\n{http}{sections}"
        );
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(folder.path().join("config.yml"));
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let process = command.spawn().unwrap();
        let mut registry = Self { process, folder, address };
        while TcpStream::connect(address).is_err() {
            let ended = registry.process.try_wait().unwrap();
            assert!(ended.is_none(), "docker-registry ended: {}", registry.log());
            std::thread::yield_now();
        }
        registry
    }

    /// A registry that knows one user.
    pub fn for_user(lab: &Lab, user: &str, password: &str) -> Self {
        let hashed = Command::new("htpasswd").args(["-Bbn", user, password]).output();
        let file = lab.file(format!("htpasswd-{user}"), hashed.unwrap().stdout);
        let auth = format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", file.display());
        Self::with("", &auth)
    }

    /// A repository or image in the registry.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Removes a blob from a repository behind the registry's back.
    pub fn lose(&self, repository: &str, digest: &str) {
        let store = self.folder.path().join("store/docker/registry/v2");
        let name = digest.replace(':', "/");
        fs::remove_dir_all(store.join(format!("repositories/{repository}/_layers/{name}")))
            .unwrap();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The requests so far that begin with `method` and contain `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let start = format!("\"{method} ");
        self.log().lines().filter(|line| line.contains(&start) && line.contains(part)).count()
    }

    /// The number of requests that change something.
    pub fn writes(&self) -> usize {
        ["POST", "PUT", "PATCH", "DELETE"].iter().map(|method| self.count(method, "")).sum()
    }
}

/// Runs `seatrial` in `lab` without the user's own credentials and certificates.
pub fn seatrial<A: AsRef<OsStr>>(lab: &Lab, arguments: impl IntoIterator<Item = A>) -> Run {
    Run::of(command(lab, arguments))
}

pub fn command<A: AsRef<OsStr>>(lab: &Lab, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(arguments).env("HOME", lab.path("home")).stdin(Stdio::null());
    for name in [
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
        "REGISTRY_AUTH_FILE",
        "DOCKER_CONFIG",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
}

/// The JSON that the program printed.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A recipe with a small folder and a large file, in `app.toml`.
pub fn recipe(lab: &Lab, more: &str) {
    lab.file("root/etc/motd", "ahoy\n");
    lab.file("root/data", noise(300_000));
    lab.file(
        "app.toml",
        format!(
            "name = 'my/app'\ntag = '1.0'\narchitecture = 'amd64'\ncontents = ['root']\n{more}\n\
             [config]\nCmd = ['/bin/app']\nEnv = ['A=1']\n"
        ),
    );
}

/// Bytes that do not compress.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    next.take(size).collect()
}

/// The path of crane.
pub fn crane() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/crane")
}

/// Runs oras, which must succeed.
pub fn oras<'a>(lab: &Lab, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let oras = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/oras");
    lab.tool(oras.to_str().unwrap(), arguments)
}

/// Runs skopeo, which must succeed.
pub fn skopeo<'a>(lab: &Lab, arguments: impl IntoIterator<Item = &'a str>) -> String {
    lab.tool("skopeo", arguments)
}

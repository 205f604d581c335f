//! The cache of blobs: damaged ones, its limit, and registries that fail while a layer is read.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::lab::{Lab, Run};
use crate::server::{Reply, Server};
use crate::service::{Registry, command, noise, recipe, seatrial};

/// The cached blobs that begin with the magic number of gzip: the layers.
fn layers(lab: &Lab) -> Vec<PathBuf> {
    let files = lab.cached_files("registry-blobs").into_iter();
    files.filter(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b])).collect()
}

/// Changes a byte in the middle of each cached layer. Returns the layers before that.
fn damage(lab: &Lab) -> Vec<Vec<u8>> {
    let change = |path: PathBuf| {
        let undamaged = fs::read(&path).unwrap();
        let mut content = undamaged.clone();
        content[undamaged.len() / 2] ^= 1;
        fs::write(path, content).unwrap();
        undamaged
    };
    layers(lab).into_iter().map(change).collect()
}

#[test]
fn a_damaged_layer_in_the_cache_is_fetched_again_by_every_command() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    let remote = format!("docker://{image}");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    seatrial(&lab, ["pull", &image, "-o", "image.tar"]).ok();
    for arguments in [
        &["pull", &image, "-o", "out"][..],
        &["pull", &image, "--format", "oci", "-o", "out"],
        &["inspect", &remote, "--verify"],
        &["export", &remote, "-o", "out"],
        &["diff", &remote, "image.tar"],
        &["merge", &remote, "-o", "out"],
        &["copy", &remote, "oci-archive:out"],
        &["copy", &remote, "docker-archive:out"],
    ] {
        let undamaged = damage(&lab);
        assert_eq!(undamaged.len(), 1, "{arguments:?}");
        seatrial(&lab, arguments).ok();
        assert!(fs::read(&layers(&lab)[0]).unwrap() == undamaged[0], "{arguments:?}");
        let _ = fs::remove_file(lab.path("out"));
    }
}

/// Runs the program with a cache of at most 1 MiB.
fn with_small_cache<'a>(lab: &Lab, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let mut command = command(lab, arguments);
    command.env("SEATRIAL_CACHE_MIB", "1");
    Run::of(command).ok()
}

/// Pushes an image with a layer of `size` bytes of noise, from the folder `name`.
fn push(lab: &Lab, registry: &Registry, name: &str, size: usize) -> String {
    lab.file(format!("{name}/data"), noise(size));
    lab.file(
        "pushed.toml",
        format!("name='{name}'\ntag='1'\narchitecture='amd64'\ncontents=['{name}']\n"),
    );
    let image = registry.name(&format!("{name}:1"));
    seatrial(lab, ["push", "pushed.toml", &image]).ok();
    image
}

/// Makes all cached blobs look as if they were used `days` ago, if they are newer.
fn age(lab: &Lab, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    for path in lab.cached_files("registry-blobs") {
        let file = File::options().write(true).open(path).unwrap();
        if file.metadata().unwrap().modified().unwrap() > then {
            file.set_modified(then).unwrap();
        }
    }
}

#[test]
fn manifests_and_configs_that_are_used_stay_in_the_cache_longer_than_old_layers() {
    let (lab, publisher, registry) = (Lab::new(), Lab::new(), Registry::start());
    let daily = push(&publisher, &registry, "daily", 1000);
    let old = push(&publisher, &registry, "old", 600_000);
    let new = push(&publisher, &registry, "new", 700_000);
    let from = format!("from_image='docker://{daily}'\n");
    lab.file("app.toml", format!("name='app'\ntag='1'\n{from}[config]\nUser='1'\n"));
    let build = |output: &str| with_small_cache(&lab, ["build", "app.toml", "-o", output]);
    build("a.tar");
    age(&lab, 20);
    with_small_cache(&lab, ["pull", &old, "-o", "old.tar"]);
    age(&lab, 10);
    build("b.tar");
    with_small_cache(&lab, ["pull", &new, "-o", "new.tar"]);
    // Everything that the build needs is there: a layer of the image that nobody used went first.
    drop(registry);
    build("c.tar");
    assert!(fs::read(lab.path("a.tar")).unwrap() == fs::read(lab.path("c.tar")).unwrap());
}

#[test]
fn the_cache_keeps_its_limit_whatever_fetches_the_blobs() {
    let (publisher, registry) = (Lab::new(), Registry::start());
    let image = push(&publisher, &registry, "large", 1_500_000);
    let remote = format!("docker://{image}");
    let from = format!("name='app'\ntag='1'\nfrom_image='{remote}'\n[config]\nUser='1'\n");
    for arguments in [
        &["copy", &remote, "oci-archive:out"][..],
        &["merge", &remote, "-o", "out"],
        &["export", &remote, "-o", "out"],
        &["build", "app.toml", "-o", "out"],
    ] {
        let lab = Lab::new();
        lab.file("app.toml", &from);
        let records = lab.cache_path("seatrial/registry-repositories");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&records).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(records.join(name), vec![b'\n'; 1 << 20]).unwrap();
        }
        with_small_cache(&lab, arguments.iter().copied());
        for (folder, mib) in [("registry-blobs", 1), ("registry-repositories", 2)] {
            let sizes = lab.cached_files(folder).into_iter();
            let size: u64 = sizes.map(|path| fs::metadata(path).unwrap().len()).sum();
            assert!(size <= mib << 20, "{arguments:?}: {size} bytes in {folder}");
        }
    }
}

#[test]
fn nothing_is_recorded_without_the_cache_or_for_layers_that_are_not_fetched() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    seatrial(&lab, ["push", "app.toml", &image, "--no-cache"]).ok();
    let location = format!("docker://{image}");
    let copy = format!("docker://{}", registry.name("other/app:1"));
    for arguments in [
        &["pull", &image, "-o", "out.tar", "--no-cache"][..],
        &["copy", &location, &copy, "--no-cache"],
        &["inspect", &location],
    ] {
        seatrial(&lab, arguments).ok();
        assert!(lab.cached_files("registry-repositories").is_empty(), "{arguments:?}");
    }
    // The second repository took the blobs from the first one.
    assert_eq!(registry.count("PATCH", "/v2/other/app/"), 0);
}

#[test]
fn a_registry_that_fails_while_a_layer_is_read_is_an_environment_failure() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    let (fails, is_broken) = (Arc::new(AtomicBool::new(false)), "answers 503 to GET /v2/my/app/");
    let broken = Arc::clone(&fails);
    let server = Server::before(registry.address, move |request| {
        let is_blob = request.method == "GET" && request.target.contains("/blobs/");
        let fails = is_blob && broken.load(Ordering::Relaxed);
        fails.then(|| Reply::new(503, &[("Retry-After", "0")], ""))
    });
    let image = format!("docker://{}/my/app:1", server.address);
    lab.file("app.toml", format!("name='x'\ntag='1'\nfrom_image='{image}'\n[config]\nUser='1'\n"));
    // The program knows what the layer contains, and has the manifest and the config.
    seatrial(&lab, ["build", "app.toml", "-o", "first.tar"]).ok();
    layers(&lab).into_iter().for_each(|path| fs::remove_file(path).unwrap());
    fails.store(true, Ordering::Relaxed);
    for arguments in [
        &["build", "app.toml", "-o", "out"][..],
        &["build", "app.toml", "--format", "oci", "-o", "out"],
        &["push", &image, &registry.name("other/app:1"), "--media-types", "docker"],
        &["push", &image, &registry.name("other/app:1"), "--sbom", "spdx"],
        &["copy", &image, "oci-archive:out"],
        &["copy", &image, "docker-archive:out"],
        &["export", &image, "-o", "out"],
        &["pull", &image[9..], "-o", "out"],
    ] {
        let run = seatrial(&lab, arguments);
        assert_eq!(run.output.status.code(), Some(3), "{arguments:?}: {}", run.stderr());
        assert!(run.stderr().contains(is_broken), "{arguments:?}: {}", run.stderr());
        assert!(!lab.exists("out"), "{arguments:?}");
    }
    assert_eq!(registry.count("PUT", "/v2/other/app/manifests/"), 0);
}

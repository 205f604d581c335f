//! The layer cache: it saves work, and never changes the output.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::lab::{Lab, Run};

const RECIPE: &str = "name = 'x'\ntag = '1'\ncontents = 'root'\n";
const OCI: [&str; 4] = ["--format", "oci", "--compress", "zstd"];

/// A lab whose files are old enough that their times would show a change, and whose layer is
/// cached.
fn lab_with_cache() -> Lab {
    let lab = Lab::new();
    lab.file("root/file", "some content\n");
    lab.file("root/other", [7; 100_000]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while lab.cached_files("layers").is_empty() {
        assert!(
            Instant::now() < deadline,
            "the layer is never cached; if the folder for temporary files is on a filesystem \
             without a real ctime (docs/security.md, \"The cache\"), set TMPDIR to another one"
        );
        lab.build(RECIPE);
    }
    lab
}

/// Replaces the diff ID in the cache entry at `path`.
fn replace_diff_id(path: &std::path::Path, diff_id: &str) {
    let key = path.file_name().unwrap().to_str().unwrap();
    let check = hex::encode(Sha256::digest(format!("sha256:{key} {diff_id}")));
    fs::write(path, format!("{diff_id} {check}\n")).unwrap();
}

#[test]
fn a_layer_with_a_file_that_was_just_changed_is_not_cached() {
    let lab = Lab::new();
    lab.file("root/file", "new");
    lab.build(RECIPE);
    assert!(lab.cached_files("layers").is_empty());
}

#[test]
fn a_cached_layer_is_not_hashed_again_and_the_output_is_the_same() {
    let lab = lab_with_cache();
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]);
    assert_eq!(lab.build(RECIPE).bytes, plain.bytes);
    // Hashing the layer again would reveal the wrong diff ID.
    let wrong = format!("sha256:{}", "ab".repeat(32));
    replace_diff_id(&lab.cached_files("layers")[0], &wrong);
    assert_eq!(lab.build(RECIPE).summary["layers"][0]["diff_id"], wrong);

    let verified = lab.build_with(RECIPE, "verified.tar", &["--verify"]);
    assert_eq!(verified.bytes, plain.bytes);
    assert_eq!(lab.build(RECIPE).bytes, plain.bytes, "--verify writes the cache");
}

#[test]
fn an_entry_that_is_used_counts_as_recent() {
    let lab = lab_with_cache();
    // The entries with the oldest times are removed when there are too many.
    let entry = &lab.cached_files("layers")[0];
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(entry).unwrap().set_modified(old).unwrap();
    lab.build(RECIPE);
    assert!(entry.metadata().unwrap().modified().unwrap() > old);
}

/// The warning about a cache that cannot be used, if there is one, of a build in `lab` that gives
/// the same image as without a cache.
fn warning(lab: &Lab, variables: &[(&str, Option<&str>)]) -> String {
    lab.file("recipe.toml", RECIPE);
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]).bytes;
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(["build", "recipe.toml", "-o", "out.tar"]);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let run = Run::of(command);
    let warning = run.stderr();
    run.ok();
    assert_eq!(fs::read(lab.path("out.tar")).unwrap(), plain);
    warning
}

#[test]
fn a_cache_that_others_can_write_to_is_not_used() {
    for folder in ["seatrial", "seatrial/layers"] {
        let lab = lab_with_cache();
        assert_eq!(warning(&lab, &[]), "");
        let wrong = format!("sha256:{}", "ab".repeat(32));
        replace_diff_id(&lab.cached_files("layers")[0], &wrong);
        let mode = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(lab.cache_path(folder), permissions).unwrap();
        };
        for unsafe_mode in [0o770, 0o707] {
            mode(unsafe_mode);
            let warning = warning(&lab, &[]);
            assert_eq!(warning.lines().count(), 1, "{warning}");
            assert!(warning.contains("other users can write to it"), "{warning}");
            let summary = lab.build(RECIPE).summary;
            assert_ne!(summary["layers"][0]["diff_id"], wrong);
        }
    }
}

#[test]
fn a_cache_of_another_user_is_not_used() {
    let lab = lab_with_cache();
    // Only root can give files away.
    if std::os::unix::fs::chown(lab.cache_path("seatrial"), Some(12345), None).is_err() {
        return;
    }
    let message = warning(&lab, &[]);
    assert!(message.contains("another user (uid 12345)"), "{message}");
    // A folder in a folder of another user.
    std::os::unix::fs::chown(lab.cache_path("seatrial"), Some(0), None).unwrap();
    std::os::unix::fs::chown(lab.cache_path(""), Some(12345), None).unwrap();
    assert!(warning(&lab, &[]).contains("other users can replace it"));
    std::os::unix::fs::chown(lab.cache_path(""), Some(0), None).unwrap();
    // A link of another user to a folder of one's own.
    fs::rename(lab.cache_path("seatrial"), lab.cache_path("own")).unwrap();
    std::os::unix::fs::symlink("own", lab.cache_path("seatrial")).unwrap();
    assert_eq!(warning(&lab, &[]), "");
    std::os::unix::fs::lchown(lab.cache_path("seatrial"), Some(12345), None).unwrap();
    assert!(warning(&lab, &[]).contains("symlink of another user"));
}

#[test]
fn new_folders_of_the_cache_are_private() {
    let lab = lab_with_cache();
    lab.build_with(RECIPE, "out.tar", &OCI);
    for folder in ["seatrial", "seatrial/layers", "seatrial/blobs"] {
        let mode = fs::metadata(lab.cache_path(folder)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn without_a_home_there_is_no_cache() {
    let lab = lab_with_cache();
    let temporary = lab.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let temporary = temporary.to_str().unwrap();
    let variables = [("HOME", None), ("XDG_CACHE_HOME", None), ("TMPDIR", Some(temporary))];
    assert_eq!(warning(&lab, &variables), "");
    assert!(fs::read_dir(temporary).unwrap().next().is_none());
}

#[test]
fn layers_from_images_of_filesystems_are_not_cached() {
    // Two images with the same dates, sizes and inodes, mounted one after the other.
    let lab = Lab::new();
    fs::create_dir(lab.path("mounted")).unwrap();
    let recipe = "name='x'\ntag='1'\ncontents='mounted'\n";
    for version in ["1", "2"] {
        lab.file("source/app", format!("version {version}\n"));
        let uuid = "00000000-0000-0000-0000-000000000000";
        let mut make = lab.command("mkfs.erofs");
        make.args(["-T", "1700000000", "-U", uuid, "image", "source"]);
        let is_made = make.output().is_ok_and(|output| output.status.success());
        let mut mount = lab.command("mount");
        mount.args(["-t", "erofs", "-o", "loop,ro", "image", "mounted"]);
        if !is_made || !mount.output().is_ok_and(|output| output.status.success()) {
            return; // needs root, and erofs in the kernel
        }
        let built = [
            lab.build(recipe),
            lab.build_with(recipe, "oci.tar", &OCI),
            lab.build_with(recipe, "oci.tar", &OCI),
        ];
        let plain = lab.build_with(recipe, "plain.tar", &["--no-cache"]);
        lab.tool("umount", ["mounted"]);
        fs::remove_file(lab.path("image")).unwrap();
        assert!(built.iter().all(|built| built.summary["id"] == plain.summary["id"]));
    }
    assert!(lab.cached_files("layers").is_empty());
}

/// Mounts an overlay of the folders `lower` and `upper` at `mounted`. Their paths are relative, so
/// the program cannot resolve them, like those of the host in a container. Returns false if this
/// needs other permissions.
fn mount_overlay(lab: &Lab, options: &str) -> bool {
    for folder in ["upper", "work", "mounted"] {
        fs::create_dir_all(lab.path(folder)).unwrap();
    }
    let options = format!("lowerdir=lower,upperdir=upper,workdir=work{options}");
    let mut mount = lab.command("mount");
    mount.args(["-t", "overlay", "overlay", "-o", &options, "mounted"]);
    mount.output().is_ok_and(|output| output.status.success())
}

#[test]
fn layers_from_overlays_on_one_filesystem_are_cached() {
    let recipe = "name='x'\ntag='1'\ncontents='mounted/root'\n";
    for (lower_on_tmpfs, options) in [(false, ""), (true, ""), (true, ",xino=on")] {
        let lab = Lab::new();
        lab.file("lower/root/file", "some content\n");
        if lower_on_tmpfs {
            let mut mount = lab.command("mount");
            mount.args(["-t", "tmpfs", "tmpfs", "lower"]);
            if !mount.output().is_ok_and(|output| output.status.success()) {
                return; // needs root
            }
            lab.file("lower/root/file", "some content\n");
        }
        if !mount_overlay(&lab, options) {
            return; // needs root
        }
        let deadline = Instant::now() + Duration::from_secs(if lower_on_tmpfs { 3 } else { 30 });
        while Instant::now() < deadline && lab.cached_files("layers").is_empty() {
            lab.build(recipe);
        }
        let is_cached = !lab.cached_files("layers").is_empty();
        // Moves the file to the upper layer.
        lab.file("mounted/root/file", "SOME CONTENT\n");
        let changed = lab.build(recipe);
        let plain = lab.build_with(recipe, "plain.tar", &["--no-cache"]);
        lab.tool("umount", ["mounted"]);
        if lower_on_tmpfs {
            lab.tool("umount", ["lower"]);
        }
        assert_eq!(changed.bytes, plain.bytes);
        // Linux shows that a file is on another filesystem than the upper layer, but not on which.
        assert_eq!(is_cached, !lower_on_tmpfs, "{lower_on_tmpfs} {options}");
    }
}

#[test]
fn unfinished_files_of_killed_builds_are_removed_by_the_next() {
    let lab = lab_with_cache();
    lab.build_with(RECIPE, "out.tar", &OCI);
    let store = lab.cached_files("blobs").remove(0);
    let left = [store.join(".new-killed"), lab.cache_path("seatrial/layers/.new-killed")];
    left.iter().for_each(|path| fs::write(path, "part").unwrap());
    lab.build_with(RECIPE, "out.tar", &OCI);
    assert!(left.iter().all(|path| !path.exists()));
}

#[test]
fn no_cache_neither_reads_nor_writes_the_cache() {
    let lab = lab_with_cache();
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let file = &lab.cached_files("layers")[0];
    replace_diff_id(file, &wrong);
    let entry = fs::read(file).unwrap();
    let built = lab.build_with(RECIPE, "out.tar", &["--no-cache"]);
    assert_ne!(built.summary["layers"][0]["diff_id"], wrong);
    assert_eq!(fs::read(file).unwrap(), entry);
}

#[test]
fn a_damaged_entry_is_replaced() {
    let lab = lab_with_cache();
    let plain = lab.build_with(RECIPE, "plain.tar", &["--no-cache"]);
    let file = &lab.cached_files("layers")[0];
    let intact = fs::read(file).unwrap();
    for damage in [
        &b""[..],
        b"rubbish",
        &intact[..intact.len() - 5],
        &[&b"sha256:00"[..], &intact[9..]].concat(),
    ] {
        fs::write(file, damage).unwrap();
        assert_eq!(lab.build(RECIPE).bytes, plain.bytes);
        assert_eq!(fs::read(file).unwrap(), intact);
    }
}

#[test]
fn a_change_that_keeps_size_and_modification_time_is_detected() {
    let lab = lab_with_cache();
    let before = lab.build(RECIPE);
    let path = lab.path("root/file");
    let time = path.metadata().unwrap().modified().unwrap();
    fs::write(&path, "SOME CONTENT\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let after = lab.build(RECIPE);
    assert_ne!(after.summary["id"], before.summary["id"]);
    assert_eq!(after.bytes, lab.build_with(RECIPE, "plain.tar", &["--no-cache"]).bytes);
}

#[test]
fn compressed_layers_are_cached_and_damaged_ones_are_replaced() {
    let lab = lab_with_cache();
    let plain = lab.build_with(RECIPE, "plain.tar", &[&OCI[..], &["--no-cache"]].concat());
    assert_eq!(lab.build_with(RECIPE, "first.tar", &OCI).bytes, plain.bytes);
    let store = lab.cached_files("blobs").remove(0);
    let blob = fs::read_dir(store).unwrap().flatten().next().unwrap().path();
    assert_eq!(lab.build_with(RECIPE, "second.tar", &OCI).bytes, plain.bytes);
    let intact = fs::read(&blob).unwrap();
    // Cached bytes are used as they are if the digest at their end is correct.
    let digest = Sha256::digest(b"other bytes");
    fs::write(&blob, [&b"other bytes"[..], &digest].concat()).unwrap();
    lab.build_with(RECIPE, "forged.tar", &OCI);
    let listed = lab.tool("tar", ["-tf", "forged.tar"]);
    assert!(listed.contains(&hex::encode(digest)), "{listed}");
    for damage in [&intact[..10], &[&intact[..20], &[intact[20] ^ 1], &intact[21..]].concat()] {
        fs::write(&blob, damage).unwrap();
        assert_eq!(lab.build_with(RECIPE, "again.tar", &OCI).bytes, plain.bytes);
        assert_eq!(fs::read(&blob).unwrap(), intact);
    }
}

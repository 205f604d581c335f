//! Copies into OCI layouts in folders: damaged blobs, other copies at the same time, and copies
//! that were killed.

use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;

use crate::lab::Lab;
use crate::server::{Reply, Server, forward};
use crate::service::{Registry, command, json, recipe, seatrial, skopeo};

/// Pushes an image, and returns its name.
fn pushed(lab: &Lab, registry: &Registry) -> String {
    recipe(lab, "");
    let image = registry.name("app:1");
    seatrial(lab, ["push", "app.toml", &image]).ok();
    image
}

fn copy(lab: &Lab, from: &str, to: &str) -> serde_json::Value {
    json(&seatrial(lab, ["copy", from, to, "--json"]).ok())
}

/// The largest blob of a layout: the layer.
fn layer(lab: &Lab, layout: &str) -> PathBuf {
    let blobs = fs::read_dir(lab.path(layout).join("blobs/sha256")).unwrap();
    let blobs = blobs.map(|blob| blob.unwrap().path());
    blobs.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

/// The names in the lab's folder.
fn names(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.path("")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_damaged_blob_of_the_layout_is_written_again() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let from = format!("docker://{}", pushed(&lab, &registry));
    copy(&lab, &from, "oci:layout:a");
    let path = layer(&lab, "layout");
    let good = fs::read(&path).unwrap();
    let mut changed = good.clone();
    changed[100] ^= 1;
    for bad in [changed, good[..1000].to_vec(), Vec::new()] {
        fs::write(&path, bad).unwrap();
        let copied = copy(&lab, &from, "oci:layout:b");
        assert_eq!((&copied["sent"], &copied["present"]), (&1.into(), &2.into()), "{copied}");
        assert!(fs::read(&path).unwrap() == good);
    }
    skopeo(&lab, ["copy", "-q", "oci:layout:b", "dir:out"]);
}

#[test]
fn copies_into_the_same_new_layout_at_the_same_time_succeed() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let image = pushed(&lab, &registry);
    let tags = ["a", "b", "c"];
    // All of them have begun the layout before one gets a layer.
    let (upstream, meeting) = (registry.address, Barrier::new(tags.len()));
    let server = Server::before(upstream, move |request| {
        if request.method == "GET" && request.target.contains("/manifests/1") {
            meeting.wait();
        }
        Some(forward(upstream, request))
    });
    let image = image.replace(&registry.address.to_string(), &server.address.to_string());
    std::thread::scope(|scope| {
        for tag in tags {
            let (lab, from) = (&lab, format!("docker://{image}"));
            let run = move || seatrial(lab, ["copy", &from, &format!("oci:layout:{tag}")]).ok();
            scope.spawn(run);
        }
    });
    for tag in tags {
        skopeo(&lab, ["copy", "-q", &format!("oci:layout:{tag}"), &format!("dir:{tag}")]);
    }
}

#[test]
fn a_killed_copy_is_completed_by_the_next_one() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let image = pushed(&lab, &registry);
    let (upstream, (waits, waiting)) = (registry.address, std::sync::mpsc::channel());
    let waits = std::sync::Mutex::new(waits);
    let server = Server::before(upstream, move |request| {
        if request.method == "GET" && request.target.contains("/blobs/") {
            waits.lock().unwrap().send(()).unwrap();
            return Some(Reply::Silence);
        }
        None
    });
    let slow = image.replace(&registry.address.to_string(), &server.address.to_string());
    let mut child = command(&lab, ["copy", "--no-cache", &format!("docker://{slow}"), "oci:new:1"])
        .spawn()
        .unwrap();
    waiting.recv().unwrap();
    let before = names(&lab);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!before.iter().any(|name| name.starts_with('.')), "{before:?}");
    copy(&lab, &format!("docker://{image}"), "oci:new:1");
    skopeo(&lab, ["copy", "-q", "oci:new:1", "dir:out"]);
    assert!(!names(&lab).iter().any(|name| name.starts_with('.')), "{:?}", names(&lab));
}

#[test]
fn a_failed_copy_into_an_empty_folder_leaves_it_empty() {
    let (lab, registry) = (Lab::new(), Registry::start());
    let missing = format!("docker://{}", registry.name("no/such:1"));
    fs::create_dir(lab.path("empty")).unwrap();
    seatrial(&lab, ["copy", &missing, "oci:empty"]).rejected(&lab, "x");
    assert!(fs::read_dir(lab.path("empty")).unwrap().next().is_none());
}

//! Pushes of recipes with `[[layer]]` that did not change, or changed little.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use serde_json::Value;

use crate::lab::Lab;
use crate::service::{Registry, json, noise, seatrial};

const FILES: [&str; 3] = ["root/srv/vendor/lib.py", "root/srv/main.py", "root/etc/app.conf"];

/// An application whose dependencies and code have layers of their own, in `app.toml`.
fn app() -> Lab {
    let lab = Lab::new();
    FILES.iter().for_each(|file| drop(lab.file(file, noise(50_000))));
    lab.file(
        "app.toml",
        "name='my/app'\ntag='1.0'\ncontents='root'\n\
         [[layer]]\nname='dependencies'\npaths='/srv/vendor'\n\
         [[layer]]\nname='code'\npaths='/srv'\n",
    );
    lab
}

/// The JSON that a push prints.
fn push(lab: &Lab, image: &str) -> Value {
    json(&seatrial(lab, ["push", "--json", "app.toml", image]).ok())
}

/// Pushes until the files are old enough that their times would show a change, so that the cache
/// has all layers.
fn push_until_cached(lab: &Lab, image: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let pushed = push(lab, image);
        if lab.cached_files("layers").len() == FILES.len() {
            return pushed;
        }
        assert!(Instant::now() < deadline, "the layers are never cached");
    }
}

/// A watch on the opening of the application's files.
fn watch(lab: &Lab) -> OwnedFd {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    for file in FILES {
        inotify::add_watch(&watch, lab.path(file), WatchFlags::OPEN).unwrap();
    }
    watch
}

/// The number of times that one of the files was opened.
fn opened(watch: &OwnedFd) -> usize {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watch, &mut buffer);
    let mut count = 0;
    loop {
        match events.next() {
            Ok(_) => count += 1,
            Err(error) => {
                assert_eq!(error, Errno::WOULDBLOCK);
                return count;
            }
        }
    }
}

#[test]
fn an_unchanged_recipe_with_named_layers_reads_no_file_and_sends_no_blob() {
    let (lab, registry) = (app(), Registry::start());
    let image = registry.name("my/app:1.0");
    let watched = watch(&lab);
    let first = push_until_cached(&lab, &image);
    assert!(opened(&watched) >= FILES.len(), "the watch sees files that are read");
    let writes = registry.writes();
    let again = push(&lab, &image);
    assert_eq!(opened(&watched), 0);
    assert_eq!(again["digest"], first["digest"]);
    assert_eq!((&again["pushed"][0]["sent"], registry.writes()), (&0.into(), writes), "{again}");
    assert_eq!(again["pushed"][0]["present"], 4, "three layers and the config: {again}");
}

#[test]
fn a_change_in_one_named_layer_reads_and_sends_that_layer_only() {
    let (lab, registry) = (app(), Registry::start());
    let image = registry.name("my/app:1.0");
    push_until_cached(&lab, &image);
    lab.file("root/srv/main.py", "changed");
    let watched = watch(&lab);
    let changed = push(&lab, &image);
    assert_eq!(changed["pushed"][0]["sent"], 2, "the layer and the config: {changed}");
    assert_eq!(opened(&watched), 1);
}

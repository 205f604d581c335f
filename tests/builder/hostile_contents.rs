//! Contents that change or lead elsewhere while they are read, and stores that are not where they
//! say.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use tar::EntryType;

use crate::forge::TarBuilder;
use crate::hostile::within_limits;
use crate::lab::{Lab, STORE};

#[test]
fn a_folder_that_is_swapped_for_a_link_leaks_nothing() {
    let lab = Lab::new();
    lab.file("outside/secret", "do not copy");
    for number in 0..200 {
        lab.file(format!("tree/{number}/folder/secret"), "harmless...");
    }
    lab.file("recipe.toml", "name='x'\ntag='1'\ncontents='tree'\n");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for number in [0, 77, 150, 199] {
                    let folder = lab.path(format!("tree/{number}/folder"));
                    let aside = lab.path(format!("tree/{number}/aside"));
                    fs::rename(&folder, &aside).unwrap();
                    std::os::unix::fs::symlink(lab.path("outside"), &folder).unwrap();
                    fs::remove_file(&folder).unwrap();
                    fs::rename(&aside, &folder).unwrap();
                }
            }
        });
        for _ in 0..30 {
            let run = lab.seatrial(["stream", "recipe.toml", "--no-cache"]);
            let leaked = run.output.stdout.windows(11).any(|bytes| bytes == b"do not copy");
            if leaked || !matches!(run.output.status.code(), Some(0 | 2)) {
                done.store(true, Ordering::Relaxed);
                panic!("leaked: {leaked}; {}", run.stderr());
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn many_links_to_files_that_are_replaced_many_times_take_little_time() {
    let lab = Lab::new();
    let mut tar = TarBuilder::new();
    for number in 0..30_000 {
        tar = tar.file(&format!("a/{number}"), b"");
    }
    for number in 0..30_000 {
        tar = tar.member(&format!("{number}"), EntryType::Link, &format!("a/{number}"), b"");
    }
    for _ in 0..30_000 {
        tar = tar.file("a", b"");
    }
    lab.file("in.tar", tar.finish());
    lab.file("recipe.toml", "name='x'\ncontents=[{tar='in.tar'}]\n");
    within_limits(&lab, &["build", "recipe.toml", "-o", "out.tar"]).ok();
}

#[test]
fn links_within_a_store_give_the_same_image_wherever_the_store_is() {
    let lab = Lab::with_store();
    // As in a Nix store: an absolute path into the store, by its path in the image.
    lab.file("store/c-libc/share/doc", "text\n");
    lab.link("store/a-app/share", "/nix/store/c-libc/share");
    let recipe = format!("name='x'\nlayering='single'\ncontents='store/a-app'\n{STORE}");
    let built = lab.build(&recipe);
    assert_eq!(built.member("share/").unwrap().kind, '5');
    assert_eq!(built.member("share/doc").unwrap().content, b"text\n");
}

#[test]
fn folders_of_links_into_the_store_have_the_usual_mode() {
    let lab = Lab::with_store();
    lab.mode("store/a-app/bin", 0o555);
    let built = lab.build(&format!("name='x'\ncontents='store/a-app'\n{STORE}"));
    assert_eq!(built.member("bin/").unwrap().mode, 0o755);
    assert_eq!(built.member("nix/store/a-app/bin/").unwrap().mode, 0o555);
}

//! Images from registries and to them, against Debian's `docker-registry`, cross-checked with
//! skopeo, crane and cosign, and against servers of the tests' own that break, lie or stay silent.

#![allow(clippy::unwrap_used)]

#[path = "../builder/lab.rs"]
#[allow(dead_code)]
mod lab; // the fixture of all tests

mod annotations; // of manifests and indexes
mod attach; // bills of materials beside images
mod base; // base images in registries, and the lock file
mod cache; // the cache of blobs
mod copy; // images from one place to another
mod copy_credentials; // different users for both sides of a copy
mod credentials; // where credentials are found, and that they stay secret
mod denials; // who denies access to whom
mod environment; // proxies, full disks
mod faults; // broken connections, errors, silence, lies
mod flags; // credentials, time limits and cache on the command line
mod hostile; // images made to hurt
mod image_bills; // bills of materials of images that exist
mod indexes; // pushes to tags that are indexes
mod layout_folders; // copies into OCI layouts
mod locations; // images in registries as arguments
mod lock_file; // with the lock file and without it
mod lock_outputs; // the lock file in the contents, and after failures
mod login; // credentials that are stored and removed
mod mirrors; // the settings of Podman and Docker
mod notices; // notes about long pauses
mod other_hosts; // token servers and storage with certificates of their own
mod permissions; // users who may use some repositories only
mod proxies; // tunnels through proxies
mod pull; // images from registries
mod push; // images to registries
mod reference_arguments; // mistakes in references
mod repositories; // pushes to several repositories
mod server; // HTTP servers of the tests
mod service; // docker-registry
mod signatures; // cosign
mod stages; // recipes on recipes on images in registries
mod tls; // certificates
mod tokens; // token servers
mod transfers; // transfers that break and go on, registries that differ from the specification
mod unchanged; // pushes of named layers
mod unreadable; // files of the usual places that may not be read
mod uploads; // blobs, sent to registries of several kinds

//! The placing of contents: which path each file of the inputs gets in the image, with which owner,
//! mode and attributes.
//!
//! Reads names and metadata. Of contents it reads only certificates for a helper, and files of the
//! base that a layer repeats because the recipe changes them. Which of two files at the same path
//! counts is decided by `merge`, and which layer has it by `plan`.

mod base_files;
mod changes;
mod contents;
mod current;
mod entries;
mod entry_mode;
mod expandable;
mod folder_contents;
mod hard_links;
mod helper_files;
mod image_path;
mod image_view;
mod links;
mod origin;
mod placer;
mod removals;
mod single_paths;
mod sorter;
mod tar_contents;
mod tar_members;

pub(super) use changes::Pass;
pub(super) use expandable::{ExpandableLink, LinksAt};
pub(super) use hard_links::HardLinks;
pub(super) use image_path::{ImagePath, is_below, is_within};
pub(super) use image_view::ImageView;
pub(super) use origin::{Origin, Placement, Priority};
pub(super) use placer::{Placer, Rules};
pub(super) use sorter::{Placed, Sorted};

//! The placing of contents: which path each file of the inputs gets in the image, with which owner,
//! mode and attributes.
//!
//! Reads names and metadata, never the contents of files. Decides neither which of two files at the
//! same path counts, which is up to `merge`, nor which layer has it.

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

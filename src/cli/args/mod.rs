//! Arguments that several commands share.

mod access;
mod archive;
mod build;
#[cfg(feature = "vm")]
mod engines;
mod image;
mod limits;
#[cfg(feature = "registry")]
mod login;
mod numbers;
mod recipe;
#[cfg(feature = "registry")]
mod registry;
mod report;
#[cfg(feature = "vm")]
mod resources;
#[cfg(feature = "registry")]
mod side;
mod threads;

pub(super) use access::AccessArgs;
pub(super) use archive::{CompressArg, FormatArg};
pub(super) use build::BuildArgs;
#[cfg(feature = "vm")]
pub(super) use build::warn_of_cache_problem;
#[cfg(feature = "vm")]
pub(super) use engines::selected_engines;
pub(super) use image::ImageArgs;
pub(super) use limits::LimitArgs;
#[cfg(feature = "registry")]
pub(super) use login::{SideLogin, login_password};
pub(super) use numbers::number;
#[cfg(any(feature = "registry", feature = "vm"))]
pub(super) use numbers::seconds;
#[cfg(any(feature = "registry", feature = "vm"))]
pub(super) use recipe::SourceArgs;
pub(super) use recipe::{RecipeArgs, is_recipe};
#[cfg(feature = "registry")]
pub(super) use registry::RegistryArgs;
pub(super) use report::ReportFile;
#[cfg(feature = "vm")]
pub(super) use resources::{ResourceArgs, check_egress};
#[cfg(feature = "registry")]
pub(super) use side::SideArgs;
pub(super) use threads::thread_count;

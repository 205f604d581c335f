//! Bills of materials: which packages are in an image, in SPDX 2.3 and CycloneDX 1.5.
//!
//! They are made from what is known without running anything: store paths, which the history of an
//! image lists with their layers; the databases of dpkg and apk; the base image; the layers. The
//! same image always gives the same document. Both formats are written as plain JSON: the crates
//! for them weigh more than the rest of the builder.

mod bill;
mod cyclonedx;
pub(crate) mod databases;
mod format;
mod own;
mod package;
mod purl;
mod spdx;
mod store_path;
mod uuid;

pub use bill::{BaseImage, Bill, ImageFacts, ImageName, LayerFacts};
pub use cyclonedx::cyclonedx;
pub use format::SbomFormat;
pub(crate) use own::is_own_bill;
pub use package::{Ecosystem, Package};
pub use spdx::spdx;

//! The packages in an image, as the databases of package managers record them.

pub(crate) mod apk;
pub(crate) mod dpkg;
mod fields;

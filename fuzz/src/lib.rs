//! The parts that several fuzz targets share: how fuzz input becomes tars, images and trees of
//! files, and the checks that hold for every image that is accepted.

pub mod document;
pub mod forge;
pub mod rawtar;
pub mod reading;
pub mod tree;

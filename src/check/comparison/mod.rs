//! Comparison of what an image or a container has with what is expected of it. Nothing is read
//! here: static checks look into the image, runtime checks into a container.

pub(super) mod account_files;
mod content;
pub(super) mod environment;
pub(super) mod file;
pub(super) mod goss;
pub(super) mod owner_names;
mod unread;

pub(super) use self::content::content;
pub(super) use self::unread::Unread;

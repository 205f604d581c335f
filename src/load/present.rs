//! What an engine holds of an image. Decisions alone; nothing is asked here.

use crate::image::DiffId;

/// How many of the lowest `layers` an engine holds that has images with the layers `held`. A layer counts only together with
/// all that is below it, as a chain id does (OCI image-spec, `config.md`, "Layer ChainID").
pub fn prefix(layers: &[DiffId], held: &[Vec<DiffId>]) -> usize {
    let common = |image: &Vec<DiffId>| layers.iter().zip(image).take_while(|(a, b)| a == b).count();
    held.iter().map(common).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn layers(names: &str) -> Vec<DiffId> {
        names.bytes().map(|name| DiffId(Digest::of(&[name]))).collect()
    }

    #[test]
    fn a_layer_is_held_only_on_top_of_the_same_layers() {
        let held = [layers("abc"), layers("xbcd"), layers("")];
        for (image, expected) in [("abd", 2), ("abc", 3), ("abcd", 3), ("bc", 0), ("x", 1), ("", 0)]
        {
            assert_eq!(prefix(&layers(image), &held), expected, "{image}");
        }
    }
}

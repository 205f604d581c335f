//! Which of an image's layers an engine has already.

use crate::image::DiffId;

/// The number of layers of `image`, counted from the lowest, that an engine has which holds the
/// images `present`. A layer counts only together with all layers below it, as in a chain ID (OCI
/// image-spec, `config.md`, "Layer ChainID").
pub(crate) fn common_layers(image: &[DiffId], present: &[Vec<DiffId>]) -> usize {
    let common = |other: &Vec<DiffId>| image.iter().zip(other).take_while(|(a, b)| a == b).count();
    present.iter().map(common).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn layers(names: &str) -> Vec<DiffId> {
        names.bytes().map(|name| DiffId(Digest::of(&[name]))).collect()
    }

    #[test]
    fn a_layer_is_present_only_on_top_of_the_same_layers() {
        let present = [layers("abc"), layers("xbcd"), layers("")];
        for (image, expected) in [("abd", 2), ("abc", 3), ("abcd", 3), ("bc", 0), ("x", 1), ("", 0)]
        {
            assert_eq!(common_layers(&layers(image), &present), expected, "{image}");
        }
    }
}

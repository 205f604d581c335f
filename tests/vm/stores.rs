//! Further containers of other images: cases of a test in `services`.

use crate::sample_image::SampleImage;

/// Images of further containers: one is an archive, the other the result of a recipe. Over CRI,
/// they share the ports of a pod.
pub const STORES: &str = r#"
[container.archived]
image = "archived.tar"
ready = { port = 8001 }
[container.baked]
recipe = "store.toml"
container.command = ["-p", "8002"]
ready = { port = 8002 }
[[run]]
name = "sells from an archive"
container.shell = "busybox wget -qO- http://archived:8001/stock"
stdout = "pears"
[[run]]
name = "sells from a recipe"
container.shell = "busybox wget -qO- http://baked:8002/stock"
stdout = "apples"
[[run]]
name = "sells something else"
container.shell = "busybox wget -qO- http://baked:8002/stock"
stdout = "pears"
"#;
const STORE: &str = r#"
name = "sample/store"
contents = "store"
[config]
Entrypoint = ["/bin/busybox", "httpd", "-f", "-h", "/www"]
Cmd = ["-p", "8001"]
"#;

/// Makes the files that [`STORES`] names.
pub fn make_stores(sample: &SampleImage) {
    for folder in ["store/bin", "store/www"] {
        std::fs::create_dir_all(sample.path(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", sample.path("store/bin/busybox")).unwrap();
    std::fs::write(sample.path("store.toml"), STORE).unwrap();
    std::fs::write(sample.path("store/www/stock"), "pears").unwrap();
    sample.seatrial(&["build", "store.toml", "--name", "sample/archived", "-o", "archived.tar"]);
    std::fs::write(sample.path("store/www/stock"), "apples").unwrap();
}

//! Images on base images, as Docker sees them.

use seatrial::engine::RunOptions;

use crate::dock::{Dock, RUN};

const BASE: &str = "\
name='base'
tag='1'
contents='rootfs'
[config]
Env=['PATH=/bin', 'LAST_LAYER=base', 'BASE=1']
";
const CHILD: &str = "name='child'\nfrom_image='base.tar'\ncontents='more'\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_of_base_and_child_is_merged_for_every_combination_of_layerings() {
    let dock = Dock::new().await;
    for (lower, upper) in
        [("popularity", "single"), ("single", "popularity"), ("popularity", "popularity")]
    {
        dock.build(&format!("layering='{lower}'\n{BASE}"), "base.tar");
        let config = "[config]\nEnv=['LAST_LAYER=child', 'CHILD=2']\n";
        let image = dock.load(&format!("layering='{upper}'\n{CHILD}{config}")).await;
        image.assert_env(&["PATH=/bin", "LAST_LAYER=child", "BASE=1", "CHILD=2"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_share_the_layer_of_their_base_as_the_lowest() {
    let dock = Dock::new().await;
    dock.build(BASE, "base.tar");
    let mut layers: Vec<Vec<String>> = Vec::new();
    for name in ["one", "two"] {
        let date = format!("200{}-01-01T00:00:00Z", layers.len());
        let recipe = format!("{CHILD}mtime='{date}'\ntag='1'\n").replace("child", name);
        let image = dock.load(&recipe).await;
        let inspected = dock.daemon.docker().unwrap().inspect(image.reference()).await.unwrap();
        layers.push(inspected.root_fs.unwrap().layers.unwrap());
    }
    assert_eq!((layers[0].len(), layers[1].len()), (2, 2));
    assert_eq!(layers[0][0], layers[1][0]);
    assert_ne!(layers[0][1], layers[1][1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_saved_by_docker_works_as_a_base() {
    let dock = Dock::new().await;
    let base = dock.load(BASE).await;
    let mut saved = tokio::fs::File::create(dock.path("saved.tar")).await.unwrap();
    dock.daemon.docker().unwrap().save(base.reference(), &mut saved).await.unwrap();
    let recipe = "name='child'\nfrom_image='saved.tar'\ncontents='more'\n\
                  [config]\nCmd=['/bin/cat', '/file']\n";
    let image = dock.load(recipe).await;
    assert_eq!(image.run(&RunOptions::default(), RUN).await.unwrap().stdout, "more");
    image.assert_env(&["LAST_LAYER=base"]).await.unwrap();
}

//! Images on base images, as Docker sees them.

use seatrial::engine::RunOptions;

use crate::workbench::{RUN_TIMEOUT, Workbench};

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
    let bench = Workbench::new().await;
    for (lower, upper) in
        [("popularity", "single"), ("single", "popularity"), ("popularity", "popularity")]
    {
        bench.build(&format!("layering='{lower}'\n{BASE}"), "base.tar");
        let config = "[config]\nEnv=['LAST_LAYER=child', 'CHILD=2']\n";
        let image = bench.load(&format!("layering='{upper}'\n{CHILD}{config}")).await;
        image.assert_env(&["PATH=/bin", "LAST_LAYER=child", "BASE=1", "CHILD=2"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_share_the_layer_of_their_base_as_the_lowest() {
    let bench = Workbench::new().await;
    bench.build(BASE, "base.tar");
    let mut layers: Vec<Vec<String>> = Vec::new();
    for name in ["one", "two"] {
        let date = format!("200{}-01-01T00:00:00Z", layers.len());
        let recipe = format!("{CHILD}mtime='{date}'\ntag='1'\n").replace("child", name);
        let image = bench.load(&recipe).await;
        let inspected = bench.daemon.docker().unwrap().inspect(image.reference()).await.unwrap();
        layers.push(inspected.root_fs.unwrap().layers.unwrap());
    }
    assert_eq!((layers[0].len(), layers[1].len()), (2, 2));
    assert_eq!(layers[0][0], layers[1][0]);
    assert_ne!(layers[0][1], layers[1][1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_saved_by_docker_works_as_a_base() {
    let bench = Workbench::new().await;
    let base = bench.load(BASE).await;
    let mut saved = tokio::fs::File::create(bench.path("saved.tar")).await.unwrap();
    bench.daemon.docker().unwrap().save(base.reference(), &mut saved).await.unwrap();
    let recipe = "name='child'\nfrom_image='saved.tar'\ncontents='more'\n\
                  [config]\nCmd=['/bin/cat', '/file']\n";
    let image = bench.load(recipe).await;
    assert_eq!(image.run(&RunOptions::default(), RUN_TIMEOUT).await.unwrap().stdout, "more");
    image.assert_env(&["LAST_LAYER=base"]).await.unwrap();
}

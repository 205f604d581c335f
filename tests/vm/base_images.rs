use std::collections::BTreeSet;

use seatrial::engine::RunOptions;

use crate::dock::{Dock, RUN};

const BASE: &str = "name='base'\ntag='1'\ncontents='rootfs'\n[config]\nEnv=['PATH=/bin', 'LAST_LAYER=base', 'BASE=1']\n";
const CHILD: &str = "name='child'\nfrom_image='base.tar'\ncontents='more'\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_the_same_in_config_and_container_whatever_is_built_on_what() {
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
async fn layers_are_shared_between_images_and_the_bases_is_the_lowest() {
    let dock = Dock::new().await;
    dock.build(BASE, "base.tar");
    let mut seen = Vec::new();
    for name in ["one", "two"] {
        let date = format!("200{}-01-01T00:00:00Z", seen.len());
        let recipe = format!("{CHILD}mtime='{date}'\ntag='1'\n").replace("child", name);
        let image = dock.load(&recipe).await;
        let inspected = dock.daemon.docker().unwrap().inspect(image.reference()).await.unwrap();
        seen.push(inspected.root_fs.unwrap().layers.unwrap());
    }
    assert_eq!((seen[0].len(), seen[1].len()), (2, 2));
    let shared =
        seen[0].iter().collect::<BTreeSet<_>>().intersection(&seen[1].iter().collect()).count();
    assert_eq!(shared, 1);
    assert_eq!(seen[0][0], seen[1][0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_docker_itself_saved_is_built_upon() {
    let dock = Dock::new().await;
    let base = dock.load(BASE).await;
    let mut saved = tokio::fs::File::create(dock.path("saved.tar")).await.unwrap();
    dock.daemon.docker().unwrap().save(base.reference(), &mut saved).await.unwrap();
    let recipe = "name='upon'\nfrom_image='saved.tar'\ncontents='more'\n[config]\nCmd=['/bin/cat', '/file']\n";
    let image = dock.load(recipe).await;
    assert_eq!(image.run(&RunOptions::default(), RUN).await.unwrap().stdout, "more");
    image.assert_env(&["LAST_LAYER=base"]).await.unwrap();
}

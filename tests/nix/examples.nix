# Images like the examples of nixpkgs' dockerTools that its tests load, with programs of Debian.
{
  dockerTools,
  debian,
  writeText,
  writeTextDir,
  runCommand,
  hello,
}:
with dockerTools;
rec {
  bash = buildImage {
    name = "bash";
    tag = "latest";
    copyToRoot = [
      debian.bash
      binSh
    ];
  };
  bashNoTag = buildImage {
    name = "bash-no-tag";
    copyToRoot = debian.bash;
  };

  # A service on another image, with a file that commands made and a health check.
  redis = buildImage {
    name = "redis";
    tag = "latest";
    fromImage = bash;
    copyToRoot = debian.redis;
    runAsRoot = ''
      mkdir -p /data
      printf '%s\n' '#!/bin/sh' '[ "$(/bin/redis-cli ping)" = PONG ]' > /bin/healthcheck
      chmod +x /bin/healthcheck
    '';
    config = {
      Cmd = [ "/bin/redis-server" ];
      WorkingDir = "/data";
      Volumes."/data" = { };
      Healthcheck = {
        Test = [ "CMD-SHELL" "/bin/healthcheck" ];
        Interval = 1000000000;
        Timeout = 10000000000;
        Retries = 60;
      };
    };
  };

  nginx =
    let
      root = writeTextDir "index.html" ''
        <html><body><h1>Hello from NGINX</h1></body></html>
      '';
      conf = writeText "nginx.conf" ''
        user nobody nobody;
        daemon off;
        error_log /dev/stdout info;
        pid /dev/null;
        events { }
        http {
          access_log /dev/stdout;
          server {
            listen 80;
            index index.html;
            location / {
              root ${root};
            }
          }
        }
      '';
    in
    buildLayeredImage {
      name = "nginx-container";
      tag = "latest";
      contents = [
        fakeNss
        debian.nginx
      ];
      # Where Debian's nginx has its first log and its temporary files.
      extraCommands = ''
        mkdir -p var/log/nginx
        mkdir -p var/lib/nginx
      '';
      config = {
        Cmd = [ "nginx" "-c" conf ];
        ExposedPorts."80/tcp" = { };
      };
    };

  editors = buildImage {
    name = "editors";
    copyToRoot = [
      debian.coreutils
      debian.bash
      debian.vim-tiny
      debian.nano
    ];
  };

  # Nix, with a database of what the image has.
  nix = buildImageWithNixDb {
    name = "nix";
    tag = "latest";
    copyToRoot = nixContents;
    config.Env = [
      "NIX_PAGER=cat"
      "USER=nobody"
    ];
  };
  filesInStore = buildLayeredImageWithNixDb {
    name = "file-in-store";
    tag = "latest";
    # Fewer than nixpkgs' default, because an engine needs a second or so for each layer.
    maxLayers = 8;
    contents = nixContents ++ [
      (runCommand "myscript" { } ''
        mkdir -p $out/bin
        script=$out/bin/myscript
        printf '#!${debian.bash}/bin/bash\ncat ${writeText "somefile" "some data"}\n' > $script
        chmod +x $script
      '')
    ];
    config = {
      Cmd = [ "myscript" ];
      Env = [ "USER=root" ];
    };
  };
  nixContents = [
    debian.coreutils
    debian.nix
    debian.bash
  ];

  layeredImageWithFakeRootCommands = buildLayeredImage {
    name = "layered-image-with-fake-root-commands";
    tag = "latest";
    contents = [
      debian.coreutils
      hello
    ];
    fakeRootCommands = ''
      mkdir -p ./home/jane
      chown 1000 ./home/jane
    '';
  };
  mergedBashAndRedis = mergeImages [
    bash
    redis
  ];
  mergedBashNoTagAndRedis = mergeImages [
    bashNoTag
    redis
  ];
  mergedBashFakeRoot = mergeImages [
    bash
    layeredImageWithFakeRootCommands
  ];

  references = builtins.mapAttrs (_: image: "${image.imageName}:${image.imageTag}") {
    inherit bash bashNoTag redis nginx editors nix filesInStore;
    inherit layeredImageWithFakeRootCommands;
  };
  nixProgram = debian.nix;
}

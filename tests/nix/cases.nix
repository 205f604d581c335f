# The images that tests/nix/main.rs builds.
{
  programs,
  # Of the image that `pulled` takes from a registry.
  address ? "",
  digest ? "",
  hash ? "",
}:
let
  pkgs = import ./pkgs.nix { inherit programs; };
  # What nixpkgs' callPackage does, with the packages that there are here.
  callPackage =
    file: arguments:
    let
      function = import file;
      known = pkgs // packaging;
    in
    function (builtins.intersectAttrs (builtins.functionArgs function) known // arguments);
  packaging = {
    inherit callPackage;
    # Only named: the package is not built here.
    installShellFiles = null;
    lib = pkgs.lib // {
      fileset = {
        toSource = source: source.fileset;
        unions = map toString;
      };
      licenses = {
        mit = "MIT";
        asl20 = "Apache-2.0";
      };
      platforms.linux = [ pkgs.system ];
    };
    rustPlatform.buildRustPackage =
      arguments:
      let
        package = arguments { finalPackage = pkgs.seatrial; };
      in
      package;
  };
  dockerTools = callPackage ../../nix/docker-tools.nix { };
in
with pkgs;
with dockerTools;
rec {
  inherit (pkgs) hello;

  # nixpkgs' own examples, with programs of Debian.
  examples = callPackage ./examples.nix {
    dockerTools = callPackage ../../nix/docker-tools.nix {
      bashInteractive = debian.bash;
      inherit (debian) coreutils;
    };
  };

  layered = buildLayeredImage {
    name = "Hello";
    contents = [ hello ];
    config.Cmd = [ "/bin/hello" ];
  };
  tagged = buildLayeredImage {
    name = "hello";
    tag = "1.0";
    compressor = "zstd";
    contents = hello;
    config.Cmd = [ "/bin/hello" ];
  };
  uncompressed = buildLayeredImage {
    name = "hello";
    compressor = "none";
    contents = [ hello ];
  };
  single = buildImage {
    name = "single";
    compressor = "none";
    copyToRoot = [ hello ];
    config = null;
  };
  singleZstd = buildImage {
    name = "single";
    compressor = "zstd";
    copyToRoot = hello;
  };
  stream = streamLayeredImage {
    name = "hello";
    contents = hello;
    config.Cmd = [
      "${bashInteractive}/bin/bash"
      "-c"
      "hello"
    ];
  };
  # The same file in several contents.
  shared = streamLayeredImage {
    name = "shared";
    contents = [
      hello
      other
    ];
  };
  sharedSingle = buildImage {
    name = "shared";
    compressor = "none";
    copyToRoot = [
      hello
      other
    ];
  };
  withoutStore = streamLayeredImage {
    name = "links";
    contents = [ hello ];
    includeStorePaths = false;
    config.Cmd = [ "hello" ];
  };
  withoutContents = buildLayeredImage {
    name = "empty";
    compressor = "none";
    contents = null;
    config.Cmd = [ "${hello}/bin/hello" ];
  };
  twoLayers = buildLayeredImage {
    name = "two";
    compressor = "none";
    contents = [ app ];
    maxLayers = 2;
  };
  bulk = buildLayeredImage {
    name = "bulk";
    compressor = "none";
    contents = [
      app
      hello
    ];
    maxLayers = 5;
  };
  onTop = buildLayeredImage {
    name = "on-top";
    compressor = "none";
    fromImage = bulk;
    maxLayers = 8;
    contents = [ other ];
    config.Env = [ "B=2" ];
  };
  # On a base that has some of the contents.
  onTopOfSame = buildLayeredImage {
    name = "on-top";
    compressor = "none";
    fromImage = twoLayers;
    maxLayers = 4;
    contents = [
      app
      hello
    ];
  };
  base = buildImage {
    name = "base";
    copyToRoot = [ hello ];
    config.Env = [
      "A=1"
      "B=1"
    ];
  };
  child = buildImage {
    name = "child";
    compressor = "none";
    fromImage = base;
    copyToRoot = [ other ];
    config.Env = [ "B=2" ];
  };
  registry = buildLayeredImage {
    name = "registry-1.docker.io/image";
    contents = [ hello ];
  };
  registrySingle = buildImage {
    name = "registry-1.docker.io/image";
    copyToRoot = [ hello ];
  };
  dated = streamLayeredImage {
    name = "dated";
    created = "20240506";
    contents = hello;
  };
  now = buildLayeredImage {
    name = "now";
    compressor = "none";
    created = "now";
    contents = [ hello ];
  };
  cross = streamLayeredImage {
    name = "cross";
    architecture = "aarch64-linux";
    contents = [ folder ];
  };
  owned = streamLayeredImage {
    name = "owned";
    uid = 1000;
    gid = 100;
    uname = "user";
    gname = "users";
    contents = [ hello ];
    passthru.extra = 1;
    meta.description = "an image";
  };
  pipeline = streamLayeredImage {
    name = "pipeline";
    contents = [
      app
      hello
    ];
    layeringPipeline = [
      [
        "subcomponent_out"
        [ "${hello}" ]
      ]
      [
        "over"
        "rest"
        [
          "pipe"
          [
            [ "popularity_contest" ]
            [
              "limit_layers"
              3
            ]
          ]
        ]
      ]
    ];
  };
  link = streamLayeredImage {
    name = "link";
    contents = [ linkToFolder ];
  };
  barePath = streamLayeredImage {
    name = "bare";
    contents = [
      hello
      ./files
    ];
  };
  barePathSingle = buildImage {
    name = "bare";
    compressor = "none";
    copyToRoot = [
      hello
      ./files
    ];
  };
  helpers = streamLayeredImage {
    name = "helpers";
    contents = [
      busybox
      (fakeNss.override { extraPasswdLines = [ "user:x:1000:100::/home/user:/bin/sh" ]; })
      binSh
      usrBinEnv
      caCertificates
    ];
    config.Cmd = [ "/bin/sh" ];
  };

  # Customised images.
  extra = buildLayeredImage {
    name = "extra";
    compressor = "none";
    contents = [
      busybox
      hello
    ];
    extraCommands = ''
      echo "(extraCommand)" > extraCommands
      mkdir -m 1777 tmp
      rm bin/hi
    '';
    config.Cmd = [ "/bin/hello" ];
  };
  extraOnBase = buildLayeredImage {
    name = "extra-on-base";
    compressor = "none";
    fromImage = base;
    extraCommands = "echo top > top";
  };
  singleExtra = buildImage {
    name = "single-extra";
    compressor = "none";
    copyToRoot = [
      busybox
      hello
    ];
    uid = 1000;
    gid = 100;
    extraCommands = ''
      mkdir -p data
      echo "it's \"quoted\" \$HOME" > data/file
      chmod 777 data
    '';
    config.Cmd = [ "/bin/hello" ];
  };
  rootBase = buildImage {
    name = "root-base";
    compressor = "none";
    copyToRoot = busybox;
    extraCommands = ''
      # Empty, and bound to the host's while commands run.
      mkdir -p data/folder proc nix
      for file in kept changed removed folder/one; do echo base > data/$file; done
      ln -s data link
    '';
  };
  # Over an image of two layers, of which the second replaces a file of the first.
  asRoot = buildImage {
    name = "as-root";
    compressor = "none";
    fromImage = buildImage {
      name = "root-second";
      fromImage = rootBase;
      extraCommands = ''
        mkdir data
        echo second > data/changed
      '';
    };
    copyToRoot = hello;
    runAsRoot = ''
      #!${shell}
      ${shadowSetup}
      echo 'jane:x:1000:1000::/var/lib/jane:/bin/sh' >> /etc/passwd
      mkdir -p /var/lib/jane
      # Not those of busybox, which is static: fakeroot does not reach it.
      /usr/bin/chown 1000:1000 /var/lib/jane
      mkdir "/it's \"quoted\""
      [ "$(/usr/bin/id -u)" = 0 ]
      [ "$(cat /link/changed)" = second ]
      /bin/hello > /data/hello
      echo changed >> data/changed
      /usr/bin/chmod 4755 /data/hello
      rm -r /data/removed /data/folder
    '';
    extraCommands = ''
      [ ! -e data/kept ]
      echo "extra ' \"quoted\"" > extra
    '';
  };
  asRootWithoutBase = buildImage {
    name = "as-root-without-base";
    compressor = "none";
    runAsRoot = "echo made > /file";
  };
  pulled = pullImage {
    imageName = "${address}/app";
    imageDigest = digest;
    inherit hash;
    finalImageName = "final/app";
    finalImageTag = "2.0";
  };
  onPulled = buildLayeredImage {
    name = "on-pulled";
    fromImage = pulled;
    contents = hello;
  };
  fakeRoot = streamLayeredImage {
    name = "fake-root";
    contents = [ busybox ];
    fakeRootCommands = ''
      mkdir -p ./home/jane ./bin2
      chown 1000 ./home/jane
      echo secret > ./bin2/tool
      chown 12345:12345 ./bin2/tool
      chmod 4755 ./bin2/tool
      ln -s ${app} ./app
    '';
  };
  fakeChroot = streamLayeredImage {
    name = "fake-chroot";
    contents = [ busybox ];
    enableFakechroot = true;
    fakeRootCommands = ''
      mkdir /home
      ${shadowSetup}
      echo 'jane:x:1000:1000::/home/jane:/bin/sh' >> /etc/passwd
      chown -R 1000:1000 /home
    '';
  };
  database = buildLayeredImage {
    name = "database";
    compressor = "none";
    contents = [ hello ];
    includeNixDB = true;
  };
  databaseSingle = buildImageWithNixDb {
    name = "database";
    compressor = "none";
    copyToRoot = [ hello ];
  };
  shell = streamNixShellImage {
    drv = hello;
    tag = "1";
  };
  shellRun = buildNixShellImage {
    drv = hello;
    compressor = "none";
    run = "echo ran in $PWD";
  };
  shellBuild = streamNixShellImage {
    drv = mkDerivation {
      name = "greeter-1.0";
      greeting = "Hello from a build!";
      buildPhase = "printf '#!${runtimeShell}\\necho %s\\n' \"$greeting\" > $TMPDIR/greeter";
      installPhase = "mkdir -p $out/bin; cp $TMPDIR/greeter $out/bin; chmod 755 $out/bin/greeter";
    };
    tag = "1";
    shell = realBash + "/bin/bash";
    run = ''
      buildDerivation
      $out/bin/greeter
      case "$-" in *i*) ;; *) echo not interactive ;; esac
    '';
  };
  shellInteractive = streamNixShellImage {
    drv = mkDerivation {
      name = "inputs-1.0";
      nativeBuildInputs = [ hello ];
      passAsFile = [ "text" ];
      text = "a long text";
      shellHook = "echo hook";
    };
    tag = "1";
    shell = realBash + "/bin/bash";
    homeDirectory = "/homeless-shelter";
    command = ''
      hello
      cat "$textPath"; echo
      case "$-" in *i*) echo interactive ;; esac
      if [ "$HOME" = "$(eval "echo ~$(whoami)")" ] && ! [ -e "$HOME" ]; then echo no home; fi
      echo "$PWD"
    '';
  };

  merged = mergeImages [
    layered
    tagged
    single
  ];
  exported = exportImage {
    name = "rootfs.tar";
    fromImage = onTop;
  };

  # What cannot be built, each with a message.
  refused = {
    both = buildImage {
      name = "x";
      contents = hello;
      copyToRoot = hello;
    };
    maxLayers = streamLayeredImage {
      name = "x";
      maxLayers = 1;
    };
    compressor = buildLayeredImage {
      name = "x";
      compressor = "xz";
    };
    pullImage = pullImage {
      imageName = "debian";
      imageDigest = "sha256:0";
    };
  };

  # The name and tag of each image as known while evaluating, and files that are built with Nix.
  references = builtins.mapAttrs (_: image: "${image.imageName}:${image.imageTag}") {
    inherit layered tagged uncompressed single singleZstd stream onTop child registry;
    inherit registrySingle dated cross owned extra singleExtra fakeRoot shell;
  };

  # The package as each of the files gives it.
  packages =
    let
      flake = (import ../../nix/flake.nix).outputs {
        nixpkgs = {
          inherit (pkgs) lib;
          legacyPackages = pkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (_: {
            inherit callPackage;
          });
        };
      };
      described = package: {
        inherit (package) version src;
        functions = builtins.attrNames package.passthru.dockerTools;
      };
    in
    {
      default = described (import ../../nix { pkgs = { inherit callPackage; }; });
      overlay = described (import ../../nix/overlay.nix { inherit callPackage; } { }).seatrial;
      flake = described flake.packages.x86_64-linux.default;
      flakeOverlay = described (flake.overlays.default { inherit callPackage; } { }).seatrial;
      flakeFunctions = builtins.attrNames flake.legacyPackages.aarch64-linux.dockerTools;
    };

  # Reference graphs as Nix writes them.
  graphs = {
    text = runCommand "graph.txt" {
      exportReferencesGraph = [
        "graph"
        hello
      ];
    } "cp graph $out";
    attributes = runCommand "graph.json" {
      __structuredAttrs = true;
      exportReferencesGraph.one = [ hello ];
      exportReferencesGraph.two = [ app ];
      empty = [ ];
      texts = [ "x" ];
      files = [ { path = "/etc/passwd"; } ];
    } "cp $NIX_BUILD_TOP/.attrs.json $out";
    registration = closureInfo { rootPaths = [ hello ]; };
  };
}
// import ./arguments.nix { inherit pkgs dockerTools; }

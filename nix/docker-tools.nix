# The functions of nixpkgs' dockerTools, by way of seatrial: the same names, arguments and defaults.
# docs/dockertools.md lists what differs.
#
#   seatrial.dockerTools.streamLayeredImage { name = "hello"; contents = [ pkgs.hello ]; }
{
  lib,
  seatrial,
  runCommand,
  writeText,
  writeTextDir,
  symlinkJoin,
  closureInfo,
  stdenv,
  runtimeShell,
  bashInteractive,
  bash,
  coreutils,
  findutils,
  gnutar,
  fakeroot,
  proot,
  cacert,
  nix,
  shadow,
  sqlite,
  zstd,
  storeDir ? builtins.storeDir,
}:
let
  inherit (builtins) baseNameOf isList;

  defaultArchitecture = stdenv.hostPlatform.system;
  images = import ./image.nix {
    inherit lib seatrial runCommand writeText symlinkJoin bash gnutar fakeroot proot storeDir;
  };
  inherit (images) listOf recipeOf confOf customised compressorOf;
  rootLayer = import ./root-layer.nix {
    inherit seatrial runCommand writeText bash coreutils findutils gnutar fakeroot proot storeDir;
    inherit (images) imageArguments copyCommands;
  };

  # Streams the image of a configuration, which is its first argument.
  streamScript = runCommand "stream" { } ''
    {
      echo '#!${runtimeShell}'
      sed 's|@seatrial@|${seatrial}/bin/seatrial|' ${./stream.sh}
    } > $out
    chmod 755 $out
  '';

  # Commands that write a Nix database with `contents` and their closure into the working folder.
  nixDB = contents: ''
    (
      export NIX_REMOTE=local?root=$PWD USER=nobody HOME=$TMPDIR
      ${nix}/bin/nix-store --load-db < ${closureInfo { rootPaths = contents; }}/registration
    )
    # The same database with every build, without space that Nix reserves for its own use.
    ${sqlite}/bin/sqlite3 nix/var/nix/db/db.sqlite 'update ValidPaths set registrationTime = 1; vacuum;'
    rm -rf nix/var/nix/db/reserved nix/var/nix/db/big-lock nix/store/.links
    ln -sfn /nix/var/nix/profiles nix/var/nix/gcroots/profiles
    mkdir -p nix/var/nix/gcroots/docker
    for content in ${toString contents}; do
      ln -s $content nix/var/nix/gcroots/docker/
    done
  '';
in
rec {
  streamLayeredImage = lib.makeOverridable (
    {
      name,
      tag ? null,
      fromImage ? null,
      contents ? [ ],
      config ? { },
      architecture ? defaultArchitecture,
      variant ? null,
      created ? "1970-01-01T00:00:01Z",
      mtime ? "1970-01-01T00:00:01Z",
      uid ? 0,
      gid ? 0,
      uname ? "root",
      gname ? "root",
      maxLayers ? 100,
      extraCommands ? "",
      fakeRootCommands ? "",
      enableFakechroot ? false,
      includeStorePaths ? true,
      includeNixDB ? false,
      passthru ? { },
      meta ? { },
      layeringPipeline ? null,
      debug ? false,
    }:
    assert lib.assertMsg (maxLayers > 1)
      "in docker image ${name}: maxLayers must be greater than 1, not ${toString maxLayers}";
    let
      baseName = baseNameOf name;
      items = listOf contents;
      commands = lib.optionalString includeNixDB (nixDB items) + extraCommands;
      # As in nixpkgs, owner and time are those of store paths; the links to them belong to root.
      areOwnedByRoot = uid == 0 && gid == 0 && uname == "root" && gname == "root";
      areOfStore = areOwnedByRoot && mtime == "1970-01-01T00:00:01Z";
      isPlain = commands == "" && fakeRootCommands == "" && (areOfStore || items == [ ]);
      customisation = customised {
        inherit baseName items fakeRootCommands enableFakechroot;
        extraCommands = commands;
      };
      recipe = recipeOf {
        inherit name tag fromImage config architecture variant created mtime;
        inherit uid gid uname gname items maxLayers includeStorePaths;
        customisation = if isPlain then null else customisation;
        layering = if layeringPipeline == null then "auto" else layeringPipeline;
      };
      conf = confOf { inherit baseName recipe debug; };
    in
    runCommand "stream-${baseName}"
      {
        outputs = [
          "out"
          "bin"
        ];
        preferLocalBuild = true;
        passthru = passthru // {
          inherit conf streamScript;
          inherit (recipe) imageName imageTag;
          isExe = true;
        };
        meta = {
          mainProgram = "stream-${baseName}";
        }
        // meta;
      }
      ''
        {
          echo '#!${runtimeShell}'
          echo 'exec ${streamScript} ${conf} "$@"'
        } > $out
        chmod 755 $out
        mkdir -p $bin/bin
        cp $out $bin/bin/stream-${baseName}
      ''
  );

  buildLayeredImage = lib.makeOverridable (
    {
      name,
      compressor ? "gz",
      meta ? { },
      ...
    }@args:
    let
      stream = streamLayeredImage (removeAttrs args [ "compressor" ]);
      method = compressorOf compressor name;
    in
    runCommand "${baseNameOf name}.tar${method.extension}"
      {
        inherit (stream) imageName;
        # It is an archive, and no executable as the stream is.
        passthru = removeAttrs stream.passthru [ "isExe" ] // { inherit stream; };
        inherit meta;
      }
      ''
        ${seatrial}/bin/seatrial --quiet build ${stream.conf} --compress ${method.name} -o $out
      ''
  );

  buildImage = lib.makeOverridable (
    {
      name,
      tag ? null,
      fromImage ? null,
      fromImageName ? null,
      fromImageTag ? null,
      copyToRoot ? null,
      contents ? null,
      keepContentsDirlinks ? false,
      config ? null,
      architecture ? defaultArchitecture,
      variant ? null,
      extraCommands ? "",
      uid ? 0,
      gid ? 0,
      runAsRoot ? null,
      diskSize ? 1024,
      buildVMMemorySize ? 512,
      created ? "1970-01-01T00:00:01Z",
      compressor ? "gz",
      includeNixDB ? false,
      meta ? { },
    }@args:
    assert lib.assertMsg (contents == null || copyToRoot == null)
      "in docker image ${name}: contents is the old name of copyToRoot; give one of them";
    let
      baseName = baseNameOf name;
      method = compressorOf compressor name;
      items = listOf (if contents == null then copyToRoot else contents);
      commands = lib.optionalString includeNixDB (nixDB items) + extraCommands;
      # The contents without the store, made even if the image does not need it.
      contentsLayer = customised {
        inherit baseName items uid gid keepContentsDirlinks;
        copied = true;
        extraCommands = commands;
      };
      customisation =
        if runAsRoot != null then
          rootLayer {
            inherit baseName fromImage fromImageName fromImageTag items;
            inherit keepContentsDirlinks runAsRoot;
            extraCommands = commands;
          }
        else if commands != "" then
          contentsLayer
        else
          null;
      recipe = recipeOf {
        inherit name tag fromImage fromImageName fromImageTag;
        inherit architecture variant created items keepContentsDirlinks customisation;
        # As in nixpkgs, store paths belong to root.
        uid = 0;
        gid = 0;
        contentsOwner = if uid == 0 && gid == 0 then null else "${toString uid}:${toString gid}";
        config = if config == null then { } else config;
        layering = "single";
      };
    in
    runCommand "docker-image-${baseName}.tar${method.extension}"
      {
        __structuredAttrs = true;
        exportReferencesGraph.graph = recipe.roots;
        inherit meta;
        passthru = {
          inherit (recipe) imageName imageTag;
          buildArgs = args;
          layer = if customisation == null then contentsLayer else customisation;
        };
      }
      ''
        cp ${recipe.file} recipe.json
        cp $NIX_BUILD_TOP/.attrs.json graph.json
        ${seatrial}/bin/seatrial --quiet build recipe.json --compress ${method.name} -o $out
      ''
  );

  # A nix-shell for a derivation, as an image.
  inherit
    (import ./shell-image.nix {
      inherit lib runCommand writeText bashInteractive fakeNss binSh usrBinEnv cacert storeDir;
      inherit streamLayeredImage buildLayeredImage;
    })
    streamNixShellImage
    buildNixShellImage
    ;

  # Compressed like the last of the images.
  mergeImages =
    images:
    runCommand "merge-docker-images"
      {
        nativeBuildInputs = [ zstd ];
        passthru = { inherit images; };
      }
      ''
        compress=cat
        for image in ${toString images}; do
          case $(head -c 2 "$image" | od -An -tx1 | tr -d ' ') in
            1f8b) compress="gzip -nc" ;;
            28b5) compress=zstd ;;
            *) compress=cat ;;
          esac
        done
        ${seatrial}/bin/seatrial --quiet merge ${toString images} -o - | $compress > $out
      '';

  exportImage =
    {
      fromImage,
      fromImageName ? null,
      fromImageTag ? null,
      diskSize ? 1024,
      name ? fromImage.name,
    }:
    runCommand name { } ''
      ${seatrial}/bin/seatrial --quiet export ${
        images.imageArguments { inherit fromImage fromImageName fromImageTag; }
      } -o $out
    '';

  inherit (import ./pull-image.nix { inherit lib seatrial runCommand cacert; }) pullImage;

  # Files that many programs expect.

  fakeNss = lib.makeOverridable (
    {
      extraPasswdLines ? [ ],
      extraGroupLines ? [ ],
    }:
    symlinkJoin {
      name = "fake-nss";
      paths = [
        (writeTextDir "etc/passwd" ''
          root:x:0:0:root user:/var/empty:/bin/sh
          ${lib.concatStrings (map (line: line + "\n") extraPasswdLines)}nobody:x:65534:65534:nobody:/var/empty:/bin/sh
        '')
        (writeTextDir "etc/group" ''
          root:x:0:
          ${lib.concatStrings (map (line: line + "\n") extraGroupLines)}nobody:x:65534:
        '')
        (writeTextDir "etc/nsswitch.conf" ''
          hosts: files dns
        '')
        (runCommand "var-empty" { } "mkdir -p $out/var/empty")
      ];
    }
  ) { };

  binSh = runCommand "bin-sh" { } ''
    mkdir -p $out/bin
    ln -s ${bashInteractive}/bin/bash $out/bin/sh
  '';

  usrBinEnv = runCommand "usr-bin-env" { } ''
    mkdir -p $out/usr/bin
    ln -s ${coreutils}/bin/env $out/usr/bin
  '';

  caCertificates = runCommand "ca-certificates" { } ''
    mkdir -p $out/etc/ssl/certs $out/etc/pki/tls/certs
    for name in ssl/certs/ca-bundle.crt ssl/certs/ca-certificates.crt pki/tls/certs/ca-bundle.crt; do
      ln -s ${cacert}/etc/ssl/certs/ca-bundle.crt $out/etc/$name
    done
  '';

  # Commands for runAsRoot and fakeRootCommands after which useradd and groupadd work.
  shadowSetup = ''
    export PATH=${shadow}/bin:$PATH
    mkdir -p /etc/pam.d
    [ -f /etc/passwd ] || echo 'root:x:0:0::/root:${runtimeShell}' > /etc/passwd
    [ -f /etc/shadow ] || echo 'root:!x:::::::' > /etc/shadow
    [ -f /etc/group ] || echo 'root:x:0:' > /etc/group
    [ -f /etc/gshadow ] || echo 'root:x::' > /etc/gshadow
    [ -f /etc/login.defs ] || touch /etc/login.defs
    if [ ! -f /etc/pam.d/other ]; then
      {
        echo 'account sufficient pam_unix.so'
        echo 'auth sufficient pam_rootok.so'
        echo 'password requisite pam_unix.so nullok yescrypt'
        echo 'session required pam_unix.so'
      } > /etc/pam.d/other
    fi
  '';

  buildImageWithNixDb = args: buildImage (args // { includeNixDB = true; });
  buildLayeredImageWithNixDb = args: buildLayeredImage (args // { includeNixDB = true; });
}

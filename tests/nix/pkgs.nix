# A small pkgs without nixpkgs: static busybox, seatrial as built from this tree, and this host's
# fakeroot, proot, tar, bash, nix-store, sqlite3 and patchelf, which the sandbox has at /usr.
# `programs` is a folder with the files busybox/busybox and seatrial/seatrial, and with the folder
# debian for debian.nix.
{ programs }:
let
  # Busybox looks at its own name.
  file = name: "${builtins.path { path = programs + "/${name}"; name = "${name}-file"; }}/${name}";
  busyboxFile = file "busybox";
  seatrialFile = file "seatrial";

  applets = [
    "sh" "ash" "cat" "ls" "echo" "mkdir" "ln" "cp" "chmod" "id" "env" "stat" "readlink" "true"
    "false" "sed" "head" "tail" "cut" "date" "tr" "basename" "dirname" "rm" "mv" "touch" "find"
    "sort" "printf" "test" "sleep" "wc" "grep" "gzip" "zcat" "sha256sum" "install" "chown" "pwd"
    "whoami" "httpd" "wget" "cmp"
  ];

  busybox = derivation {
    name = "busybox-1.35";
    inherit system;
    builder = "${busyboxFile}";
    args = [
      "sh"
      "-ec"
      ''
        b=${busyboxFile}
        $b mkdir -p $out/bin
        $b cp $b $out/bin/busybox
        for applet in ${toString applets}; do $b ln -s busybox $out/bin/$applet; done
      ''
    ];
  };
  system = "x86_64-linux";
  shell = "${busybox}/bin/sh";

  runCommand =
    name: attributes: script:
    let
      own = removeAttrs attributes [
        "passthru"
        "meta"
        "nativeBuildInputs"
        "preferLocalBuild"
      ];
      inputs = attributes.nativeBuildInputs or [ ];
      isOfHost = input: input == "/usr";
      path = lib.concatStringsSep ":" (
        map (input: "${input}/bin") (
          builtins.filter (input: !isOfHost input) inputs
          ++ builtins.filter isOfHost inputs
          ++ [ busybox ]
        )
      );
      drv = derivation (
        {
          inherit name system;
          builder = shell;
          args = [
            "-e"
            "-c"
            ''
              export PATH=${path}
              if [ -e "$NIX_BUILD_TOP/.attrs.json" ]; then
                attributes=$NIX_BUILD_TOP/.attrs.json
                out=$(sed -n 's/.*"outputs":{[^}]*"out":"\([^"]*\)".*/\1/p' $attributes)
              fi
              ${script}
            ''
          ];
        }
        // own
      );
      passthru = attributes.passthru or { };
    in
    drv
    // passthru
    // {
      inherit passthru;
      meta = attributes.meta or { };
    };

  lib = {
    inherit (builtins) concatStringsSep listToAttrs genList replaceStrings;
    concatStrings = builtins.concatStringsSep "";
    optionalString = condition: text: if condition then text else "";
    optional = condition: item: if condition then [ item ] else [ ];
    optionals = condition: items: if condition then items else [ ];
    assertMsg = condition: message: condition || throw message;
    filterAttrs =
      keep: set:
      removeAttrs set (builtins.filter (name: !keep name set.${name}) (builtins.attrNames set));
    mapAttrs = builtins.mapAttrs;
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
    escapeShellArgs = texts: builtins.concatStringsSep " " (map lib.escapeShellArg texts);
    makeOverridable =
      f: arguments:
      f arguments // { override = changed: lib.makeOverridable f (arguments // changed); };
    fetchers.proxyImpureEnvVars = [ "http_proxy" "https_proxy" "no_proxy" ];
    toLower =
      let
        upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        lower = "abcdefghijklmnopqrstuvwxyz";
        letters = text: builtins.genList (n: builtins.substring n 1 text) 26;
      in
      builtins.replaceStrings (letters upper) (letters lower);
  };

  self = rec {
    inherit lib runCommand busybox system;
    coreutils = busybox;
    # What packs a layer must be linked dynamically, for fakeroot to reach it.
    bash = "/usr";
    gnutar = "/usr";
    findutils = "/usr";
    fakeroot = "/usr";
    # The programs of this host need these folders in the image too.
    proot = runCommand "proot" { } ''
      mkdir -p $out/bin
      printf '#!${shell}\nexec /usr/bin/proot -b /usr -b /lib -b /lib64 "$@"\n' > $out/bin/proot
      chmod 755 $out/bin/proot
    '';
    nix = "/usr";
    sqlite = "/usr";
    zstd = "/usr";
    shadow = runCommand "shadow" { } ''
      mkdir -p $out/bin
      ln -s /usr/sbin/useradd /usr/sbin/groupadd $out/bin
    '';
    seatrial = runCommand "seatrial-0.1.0" { } ''
      mkdir -p $out/bin
      cp ${seatrialFile} $out/bin/seatrial
      chmod 755 $out/bin/seatrial
    '';
    bashInteractive = runCommand "bash-5.2" { } ''
      mkdir -p $out/bin
      printf '#!${shell}\nexec ${shell} "$@"\n' > $out/bin/bash
      chmod 755 $out/bin/bash
    '';
    runtimeShell = shell;
    debian = import ./debian.nix {
      inherit runCommand;
      unpacked = programs + "/debian";
    };

    # This host's bash with its libraries, so that it runs in every sandbox and image.
    realBash = runCommand "real-bash" { } ''
      mkdir -p $out/bin $out/lib
      cp /usr/bin/bash $out/lib/bash
      cp /lib/x86_64-linux-gnu/libtinfo.so.6 /lib/x86_64-linux-gnu/libc.so.6 $out/lib
      cp /lib64/ld-linux-x86-64.so.2 $out/lib/ld.so
      bash="$out/lib/ld.so --library-path $out/lib $out/lib/bash"
      printf '#!${shell}\nexec %s "$@"\n' "$bash" > $out/bin/bash
      chmod 755 $out/bin/bash
    '';
    # A small stdenv: inputs in PATH, hooks, and two phases.
    smallStdenv = writeTextDir "setup" ''
      PATH=
      for input in ''${nativeBuildInputs-} ''${buildInputs-} ${busybox}; do
        PATH=$PATH''${PATH:+:}$input/bin
      done
      export PATH
      runHook() {
        if [ "$(type -t "$1")" = function ]; then "$1"; else eval "''${!1-}"; fi
      }
      genericBuild() {
        for phase in buildPhase installPhase; do runHook "$phase"; done
      }
    '';
    mkDerivation =
      attributes:
      derivation (
        {
          inherit system;
          builder = "${realBash}/bin/bash";
          args = [
            "-e"
            (writeText "builder.sh" ". $stdenv/setup\ngenericBuild\n")
          ];
          stdenv = smallStdenv;
        }
        // attributes
      );
    stdenv.hostPlatform.system = system;

    writeText =
      name: text:
      derivation {
        inherit name text system;
        passAsFile = [ "text" ];
        builder = shell;
        args = [ "-c" "${busybox}/bin/cp $textPath $out" ];
      };
    writeTextDir =
      path: text:
      runCommand (baseNameOf path) { inherit text; passAsFile = [ "text" ]; } ''
        mkdir -p $out/${dirOf path}
        cp $textPath $out/${path}
      '';
    # As in nixpkgs: folders are folders, other files are symlinks; the first of equal names counts.
    symlinkJoin =
      { name, paths }:
      runCommand name { } ''
        mkdir $out
        for path in ${toString paths}; do
          (cd $path/. && find . -type d) | while read -r d; do mkdir -p $out/$d; done
          (cd $path/. && find . ! -type d) | while read -r f; do
            [ -e $out/$f ] || [ -L $out/$f ] || ln -s $path/''${f#./} $out/$f
          done
        done
      '';
    closureInfo =
      { rootPaths }:
      let
        graph.exportReferencesGraph.closure = rootPaths;
      in
      runCommand "closure-info" (graph // { __structuredAttrs = true; }) ''
        mkdir $out
        # One line a path, from the JSON that Nix writes without spaces.
        sed 's/.*"closure":\[\(.*\)\].*"exportReferencesGraph".*/\1/' $NIX_BUILD_TOP/.attrs.json |
          sed 's/},{/}\n{/g' > nodes
        while read -r node || [ -n "$node" ]; do
          field() { echo "$node" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",]*\).*/\1/p"; }
          references=$(echo "$node" | sed 's/.*"references":\[\([^]]*\)\].*/\1/' | tr '",' '  ')
          field path
          field narHash
          field narSize
          echo
          set -- $references
          echo $#
          for reference; do echo $reference; done
        done < nodes > $out/registration
      '';
    cacert = runCommand "nss-cacert" { } ''
      mkdir -p $out/etc/ssl/certs
      echo certificates > $out/etc/ssl/certs/ca-bundle.crt
    '';

    # Packages to put into images.
    libc = runCommand "libc-2.40" { } ''
      mkdir -p $out/lib
      echo "self: $out/lib" > $out/lib/libc.so
    '';
    hello = runCommand "hello-2.12" { } ''
      mkdir -p $out/bin $out/share/doc
      printf '#!${shell}\n# ${libc}\necho "Hello, world!"\n' > $out/bin/hello
      chmod 755 $out/bin/hello
      ln -s hello $out/bin/hi
      echo doc > $out/share/doc/README
    '';
    # Several packages with a file of the same name.
    other = runCommand "other-1.0" { } ''
      mkdir -p $out/bin $out/share/doc
      printf '#!${shell}\necho other\n' > $out/bin/hello
      chmod 755 $out/bin/hello
      echo other > $out/share/doc/README
      echo more > $out/share/doc/MORE
    '';
    library = n: runCommand "lib${toString n}-1.${toString n}" { } ''
      mkdir -p $out/lib
      echo "lib ${toString n} ${libc}" > $out/lib/lib${toString n}.so
    '';
    libraries = builtins.genList library 12;
    app = runCommand "app-1.0" { } ''
      mkdir -p $out/bin $out/etc
      printf '#!${shell}\necho app\n' > $out/bin/app
      chmod 755 $out/bin/app
      for library in ${toString libraries}; do echo $library >> $out/etc/libraries; done
      echo self $out >> $out/etc/libraries
    '';
    linkToFolder = runCommand "link-to-folder" { } "ln -s ${hello} $out";
    folder = runCommand "folder" { } ''
      mkdir $out
      echo content > $out/hello.txt
    '';
  };
in
self

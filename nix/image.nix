# From dockerTools' arguments to recipes of seatrial.
{
  lib,
  seatrial,
  runCommand,
  writeText,
  symlinkJoin,
  bash,
  gnutar,
  fakeroot,
  proot,
  storeDir,
}:
let
  inherit (builtins)
    baseNameOf
    isList
    substring
    toJSON
    unsafeDiscardStringContext
    ;

  compressors = {
    none = {
      extension = "";
      name = "none";
    };
    gz = {
      extension = ".gz";
      name = "gzip";
    };
    zstd = {
      extension = ".zst";
      name = "zstd";
    };
  };

  # Dates as flakes have them (20240506, 20240506123000), which `date -d` reads in part.
  dateOf =
    date:
    let
      parts = if date == null then null else builtins.match "([0-9]{4})([0-9]{2})([0-9]{2})(([0-9]{2})([0-9]{2})([0-9]{2}))?" date;
      part = builtins.elemAt parts;
      time = if part 3 == null then "00:00:00" else "${part 4}:${part 5}:${part 6}";
    in
    if parts == null then
      date
    else
      "${part 0}-${part 1}-${part 2}T${time}Z";

  hashOf = drv: substring 0 32 (baseNameOf (unsafeDiscardStringContext drv.outPath));
  withoutNulls = lib.filterAttrs (_: value: value != null);
in
rec {
  listOf =
    items:
    if items == null then
      [ ]
    else
      map (item: "${item}") (if isList items then items else [ items ]);

  compressorOf =
    name: image:
    compressors.${name}
      or (throw "in docker image ${image}: compressor must be none, gz or zstd, not ${name}");

  # The arguments that select an image for a command: its archive, and which image in it.
  imageArguments =
    {
      fromImage,
      fromImageName ? null,
      fromImageTag ? null,
    }:
    "${fromImage}"
    + lib.optionalString (
      fromImageName != null && fromImageTag != null
    ) " --reference ${lib.escapeShellArg "${fromImageName}:${fromImageTag}"}";

  # The recipe of an image: its file, its name and tag, which are known without building anything,
  # and the roots of its reference graph, which the derivation that reads it must export as `graph`.
  recipeOf =
    {
      name,
      tag,
      fromImage,
      fromImageName ? null,
      fromImageTag ? null,
      items,
      # Of copied contents, `uid:gid`, if it is not the owner of store paths.
      contentsOwner ? null,
      customisation,
      config,
      architecture,
      variant,
      created,
      mtime ? null,
      uid,
      gid,
      uname ? null,
      gname ? null,
      maxLayers ? null,
      includeStorePaths ? null,
      keepContentsDirlinks ? null,
      layering,
    }:
    let
      baseName = baseNameOf name;
      # A ready layer has links to the contents; what it names in the store belongs in the image.
      isCustom = customisation != null;
      settings = withoutNulls {
        from_image = if fromImage == null then null else "${fromImage}";
        from_image_name = fromImageName;
        from_image_tag = fromImageTag;
        contents =
          if isCustom then
            [ { layer = "${customisation}/layer.tar"; } ]
          else if contentsOwner == null then
            items
          else
            map (source: {
              inherit source;
              owner = contentsOwner;
            }) items;
        on_conflict = if layering == "single" then "last" else "first";
        include_store_paths = includeStorePaths;
        keep_contents_dirlinks = keepContentsDirlinks;
        max_layers = maxLayers;
        created = dateOf created;
        mtime = dateOf mtime;
        inherit architecture variant config layering;
        inherit uid gid uname gname;
        store = {
          dir = storeDir;
          closure = "graph.json";
          roots = lib.optionals isCustom (items ++ [ "${customisation}" ]);
          exclude = lib.optional isCustom "${customisation}";
        };
      };
      fileOf = tag: writeText "${baseName}-recipe.json" (toJSON (settings // { inherit name tag; }));
      imageTag = if tag == null then hashOf (fileOf null) else tag;
      file = fileOf imageTag;
    in
    {
      inherit file imageTag;
      imageName = lib.toLower name;
      roots = [ "${file}" ] ++ items ++ lib.optional isCustom "${customisation}";
    };

  # The configuration of an image's stream, with the split into layers: a file that is read by
  # `seatrial stream`, and whose `store_layers` other tools read.
  confOf =
    {
      baseName,
      recipe,
      debug,
    }:
    runCommand "${baseName}-conf.json"
      {
        __structuredAttrs = true;
        exportReferencesGraph.graph = recipe.roots;
        preferLocalBuild = true;
        passthru = { inherit (recipe) imageName imageTag; };
      }
      ''
        cp ${recipe.file} recipe.json
        cp $NIX_BUILD_TOP/.attrs.json graph.json
        ${seatrial}/bin/seatrial --quiet conf recipe.json > $out
        ${lib.optionalString debug "cat $out"}
      '';

  # Commands that copy the contents `items` to the folder `to`, with the modes that nixpkgs' `rsync`
  # gives them: those of the store, but the topmost folder is writable. Links to folders become
  # folders, as with `rsync -k`, except those to folders that they are in.
  copyCommands =
    {
      items,
      keepContentsDirlinks,
      to,
    }:
    lib.optionalString (items != [ ]) ''
      copy() {
        cp -dRf "$1/." "$2/"
        # So that more can be copied into them.
        find "$2" -type d -exec chmod u+w {} +
        ${lib.optionalString keepContentsDirlinks "return 0"}
        find "$1/" -type l | while IFS= read -r link; do
          folder=$(readlink -f "$link") && [ -d "$folder" ] || continue
          case $1/ in "$folder"/*) continue ;; esac
          case ''${3-}: in *":$folder:"*) continue ;; esac
          rm -f "$2/''${link#"$1"/}"
          mkdir -p "$2/''${link#"$1"/}"
          copy "$folder" "$2/''${link#"$1"/}" "''${3-}:$folder"
        done
      }
      for item in ${toString items}; do copy "$(readlink -f "$item")" ${to}; done
      find ${to} -mindepth 1 -type d -exec chmod 555 {} +
      chmod 775 ${to}
    '';

  # The layer that commands make of the contents, with the owners and modes that they set. No store
  # path can have these, so it is a tar. `copied`: the contents are copied rather than linked.
  customised =
    {
      baseName,
      items,
      extraCommands,
      fakeRootCommands ? "",
      enableFakechroot ? false,
      copied ? false,
      keepContentsDirlinks ? false,
      uid ? 0,
      gid ? 0,
    }:
    let
      links = symlinkJoin {
        name = "${baseName}-contents";
        paths = items;
      };
      tree =
        if copied then
          copyCommands {
            inherit items keepContentsDirlinks;
            to = "root";
          }
        else
          "cp -dR ${links}/. root/; chmod -R u+w root";
      owner = lib.optionalString (
        fakeRootCommands == ""
      ) "--owner=${toString uid} --group=${toString gid} ";
      # With proot, the image is at / and the folders that commands need are bound into it.
      bound = [
        "/dev"
        "/proc"
        "/sys"
        storeDir
        "$NIX_BUILD_TOP"
      ];
      excluded = lib.optionalString enableFakechroot (
        lib.concatStrings (map (folder: "--exclude=.${folder} ") bound)
      );
      place =
        if enableFakechroot then
          "proot -r $PWD ${lib.concatStrings (map (folder: "-b ${folder} ") bound)}-w / "
        else
          "";
    in
    runCommand "${baseName}-customisation-layer"
      {
        inherit extraCommands fakeRootCommands;
        passAsFile = [
          "extraCommands"
          "fakeRootCommands"
        ];
        nativeBuildInputs = [
          fakeroot
          gnutar
        ]
        ++ lib.optional enableFakechroot proot;
      }
      ''
        mkdir root $out
        ${tree}
        (cd root; . $extraCommandsPath)
        {
          echo 'if [ -e "''${stdenv-}/setup" ]; then . "$stdenv/setup"; fi'
          cat $fakeRootCommandsPath
        } > commands
        {
          echo 'cd root'
          echo '${place}${bash}/bin/bash -e -c "$(cat ../commands)"'
          echo 'tar --sort=name --numeric-owner ${owner}--mtime=@1 --hard-dereference \'
          echo "  ${excluded}-cf $out/layer.tar ."
        } > pack
        # In a sandbox, no other user exists: without this, changing an owner is an error.
        export FAKEROOTDONTTRYCHOWN=1
        fakeroot ${bash}/bin/bash -e pack
        sha256sum $out/layer.tar | cut -d ' ' -f 1 > $out/checksum
      '';
}

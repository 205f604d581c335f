# The layer that buildImage's runAsRoot makes: what its commands changed in the image so far, as
# root of fakeroot, with the image at / through proot. nixpkgs runs them in a VM, which needs KVM.
{
  seatrial,
  runCommand,
  writeText,
  bash,
  coreutils,
  findutils,
  gnutar,
  fakeroot,
  proot,
  storeDir,
  imageArguments,
  copyCommands,
}:
{
  baseName,
  fromImage,
  fromImageName,
  fromImageTag,
  items,
  keepContentsDirlinks,
  runAsRoot,
  extraCommands,
}:
let
  # What commands need of the host, beside the image.
  bound = [
    "/dev"
    "/proc"
    "/sys"
    storeDir
  ];
  commands = writeText "${baseName}-run-as-root.sh" ''
    set -e
    export PATH=${coreutils}/bin:/bin TMPDIR=/tmp
    ${runAsRoot}
  '';
  arguments = imageArguments { inherit fromImage fromImageName fromImageTag; };
  export = "${seatrial}/bin/seatrial --quiet export ${arguments} -o - | tar -C root -xp";
  copied =
    if items == [ ] then
      ""
    else
      ''
        mkdir contents
        ${copyCommands {
          inherit items keepContentsDirlinks;
          to = "contents";
        }}
        tar -C contents --owner=0 --group=0 -c . | tar -C root --keep-directory-symlink -xp
        rm -rf contents
      '';
  states = ''
    # The state of each path in the image; names end with two slashes, which none contains.
    states() {
      find root -mindepth 1 \( -type d -printf '%P//%y %m %U:%G\0' \) -o \
        -printf '%P//%y %m %U:%G %s %C@ %l\0' | sort -z
    }
  '';
  # Makes the image in `root`. Runs under fakeroot, which records owners and devices.
  change = writeText "${baseName}-change-image.sh" ''
    ${states}
    mkdir root
    ${if fromImage == null then "" else export}
    states > before
    ${copied}
    # As in nixpkgs, for temporary files.
    mkdir -p root/tmp
    # Folders for what is bound, where the image has none; they do not get into the layer.
    bindings=()
    made=()
    for folder in ${toString bound}; do
      [ -e "$folder" ] || continue
      bindings+=(-b "$folder")
      path=root
      IFS=/ read -ra parts <<< "''${folder#/}"
      for part in "''${parts[@]}"; do
        path=$path/$part
        if [ ! -e "$path" ] && [ ! -L "$path" ]; then
          mkdir "$path"
          made=("$path" "''${made[@]}")
        fi
      done
    done
    proot -r "$PWD/root" "''${bindings[@]}" -w / ${bash}/bin/bash ${commands}
    if [ ''${#made[@]} -gt 0 ]; then
      rmdir --ignore-fail-on-non-empty "''${made[@]}"
    fi
  '';
  # Prints the records of files that exist. fakeroot keeps those of files that a static program
  # removes, and would take a new file with the same inode for the old one.
  prune = writeText "${baseName}-prune-records.sh" ''
    declare -A kinds
    while read -r inode kind; do kinds[$inode]=$kind; done < <(find root -printf '%i %y\n')
    while IFS= read -r record; do
      inode=''${record#*ino=} mode=''${record#*mode=}
      # The kind of the file and its recorded mode; devices are files.
      case ''${kinds[''${inode%%,*}]-}''${mode%%,*} in
        d4???? | f10???? | f2???? | f6???? | l12???? | p1???? | s14????) echo "$record" ;;
      esac
    done
  '';
  # Makes the layer of what changed in `root`. Runs under fakeroot, with the records from before.
  pack = writeText "${baseName}-pack-layer.sh" ''
    ${states}
    names() { sed -z 's|//.*||' "$1" | sort -z; }
    # The paths of standard input, and the folders above each.
    with_parents() {
      while IFS= read -r -d "" path; do
        printf '%s\0' "$path"
        while [ "$path" != "''${path%/*}" ]; do
          path=''${path%/*}
          printf '%s\0' "$path"
        done
      done | sort -zu
    }

    mkdir layer
    states > after
    names before > names-before
    names after > names-after
    comm -z -23 names-before names-after > removed
    # Of what was removed, whiteouts hide the paths whose folder is still there.
    while IFS= read -r -d "" path; do
      folder=.
      case $path in */*) folder=''${path%/*} ;; esac
      if [ -d "root/$folder" ] && [ ! -L "root/$folder" ]; then
        : > "root/$folder/.wh.''${path##*/}"
        printf '%s\0' "''${folder#./}/.wh.''${path##*/}" | sed -z 's|^\./||'
      fi
    done < removed > whiteouts
    { comm -z -13 before after | sed -z 's|//.*||'; cat whiteouts; } | with_parents > changed
    tar -C root --null --no-recursion --no-unquote --verbatim-files-from -T changed -c | tar -C layer -xp
    (cd layer; . "$extraCommandsPath")
    tar -C layer --sort=name --numeric-owner --mtime=@1 --hard-dereference -cf "$out/layer.tar" .
  '';
in
runCommand "${baseName}-root-layer"
  {
    inherit extraCommands;
    passAsFile = [ "extraCommands" ];
    nativeBuildInputs = [
      fakeroot
      proot
      findutils
      gnutar
    ];
  }
  ''
    mkdir $out
    # In a sandbox, no other user exists: without this, changing an owner is an error.
    export FAKEROOTDONTTRYCHOWN=1
    fakeroot -s $PWD/all-records ${bash}/bin/bash -e -o pipefail ${change}
    ${bash}/bin/bash -e ${prune} < all-records > records
    fakeroot -i $PWD/records ${bash}/bin/bash -e -o pipefail ${pack}
    sha256sum $out/layer.tar | cut -d ' ' -f 1 > $out/checksum
  ''

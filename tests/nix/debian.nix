# Packages of Debian as packages of Nix: what ci/nix-programs unpacked, changed by patchelf so that
# programs and libraries find each other in the store.
{ runCommand, unpacked }:
let
  needs = builtins.fromJSON (builtins.readFile (unpacked + "/needs.json"));
  folder = name: builtins.path { path = unpacked + "/${name}"; name = "${name}-files"; };
  # One package of several Debian packages.
  package =
    name: parts:
    let
      inputs = map (need: packages.${need}) (builtins.concatMap (part: needs.${part}) parts);
      libraries = builtins.concatStringsSep ":" (map (path: "${path}/lib") inputs);
      copy = ''
        mkdir $out
        for part in ${toString (map folder parts)}; do
          cp -r $part/. $out
          chmod -R u+w $out
        done
      '';
      patch = ''
        find $out -type f | while read -r file; do
          # Other files than programs and libraries.
          patchelf --print-rpath $file > /dev/null 2>&1 || continue
          if patchelf --print-interpreter $file > /dev/null 2>&1; then
            patchelf --set-interpreter ${packages.libc6}/lib/ld-linux-x86-64.so.2 $file
          fi
          patchelf --force-rpath --set-rpath $out/lib:${libraries} $file
        done
      '';
    in
    runCommand name { nativeBuildInputs = [ "/usr" ]; } (
      if inputs == [ ] then copy else copy + patch
    );
  packages = builtins.mapAttrs (name: _: package name [ name ]) needs;
in
packages
// {
  nix = packages.nix-bin;
  redis = package "redis" [ "redis-server" "redis-tools" ];
}

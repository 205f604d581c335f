# seatrial without feature vm: the builder alone, which needs neither QEMU nor a daemon.
{
  lib,
  rustPlatform,
  callPackage,
}:
rustPlatform.buildRustPackage (finalAttrs: {
  pname = "seatrial";
  version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).package.version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../README.md
      ../benches
      ../src
      ../tests
      ../vm
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  # The tests need other programs and take long; the project's own gate runs them.
  doCheck = false;

  passthru.dockerTools = callPackage ./docker-tools.nix { seatrial = finalAttrs.finalPackage; };

  meta = {
    description = "Builds container images without a daemon or root";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "seatrial";
    platforms = lib.platforms.linux;
  };
})

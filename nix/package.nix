# seatrial without feature vm: the builder alone, which needs neither QEMU nor a daemon.
{
  lib,
  stdenv,
  rustPlatform,
  callPackage,
  installShellFiles,
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

  nativeBuildInputs = [ installShellFiles ];
  # The script is printed by the program that was built, which must run here.
  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd seatrial \
      --bash <($out/bin/seatrial completions bash) \
      --fish <($out/bin/seatrial completions fish) \
      --zsh <($out/bin/seatrial completions zsh)
  '';

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

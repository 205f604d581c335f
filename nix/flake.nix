{
  description = "Builds container images without a daemon or root";

  inputs.nixpkgs.url = "nixpkgs";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forSystems = nixpkgs.lib.genAttrs systems;
    in
    {
      overlays.default = import ./overlay.nix;
      packages = forSystems (system: {
        default = nixpkgs.legacyPackages.${system}.callPackage ./package.nix { };
      });
      # The set that takes the place of pkgs.dockerTools.
      legacyPackages = forSystems (system: {
        inherit ((nixpkgs.legacyPackages.${system}.callPackage ./package.nix { }).passthru) dockerTools;
      });
    };
}

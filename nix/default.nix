# The package, for use without flakes: `nix-build nix`, or `(import ./nix { }).dockerTools`.
{
  pkgs ? import <nixpkgs> { },
}:
pkgs.callPackage ./package.nix { }

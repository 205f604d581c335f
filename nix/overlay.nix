# Adds `seatrial`, whose `seatrial.dockerTools` takes the place of `dockerTools`.
final: _prev: { seatrial = final.callPackage ./package.nix { }; }

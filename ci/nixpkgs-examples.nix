# The problems of seatrial.dockerTools with nixpkgs' own examples: see ci/nixpkgs-examples.
{ nixpkgs }:
let
  theirs = import nixpkgs { };
  ours = import nixpkgs {
    overlays = [
      (import ../nix/overlay.nix)
      (final: _: { inherit (final.seatrial) dockerTools; })
    ];
  };
  inherit (theirs) lib;

  file = nixpkgs + "/pkgs/build-support/docker/examples.nix";
  imagesOf =
    pkgs:
    let
      functions = builtins.intersectAttrs (lib.functionArgs (import file)) pkgs.dockerTools;
    in
    removeAttrs (pkgs.callPackage file functions) [
      "override"
      "overrideDerivation"
    ];
  images = imagesOf ours;

  # Without what docs/dockertools.md says is missing.
  functions = removeAttrs theirs.dockerTools [
    "examples"
    "mergeDrvs"
    "mkPureLayer"
    "mkRootLayer"
    "override"
    "overrideDerivation"
    "runWithOverlay"
    "shellScript"
    "tarsum"
    "tests"
  ];
  # What tools read of images.
  passthru = [
    "buildArgs"
    "conf"
    "imageName"
    "imageTag"
    "layer"
    "override"
    "overrideDerivation"
    "stream"
    "streamScript"
  ];

  isDerivation =
    value:
    let
      tried = builtins.tryEval value.drvPath;
    in
    tried.success;
  # Tags that are not given are hashes.
  isSame =
    one: other: one == other || (lib.stringLength one == 32 && lib.stringLength other == 32);

  problemsOf =
    name: own:
    let
      image = images.${name};
      missing = lib.filter (attribute: own ? ${attribute} && !(image ? ${attribute})) passthru;
      has = attribute: own ? ${attribute} && image ? ${attribute};
      differs = attribute: has attribute && !isSame own.${attribute} image.${attribute};
    in
    if !isDerivation own then
      [ ]
    else if !isDerivation image then
      [ "cannot be evaluated" ]
    else
      map (attribute: "has no ${attribute}") missing
      ++ map (attribute: "has another ${attribute}") (
        lib.filter differs [
          "imageName"
          "imageTag"
        ]
      );
in
{
  version = lib.version;
  count = lib.length (lib.attrNames images);
  # Those that nixpkgs itself refuses.
  refused = lib.attrNames (lib.filterAttrs (_: own: !isDerivation own) (imagesOf theirs));
  problems =
    map (name: "dockerTools has no ${name}") (
      lib.subtractLists (lib.attrNames ours.dockerTools) (lib.attrNames functions)
    )
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: function:
        let
          argumentsOf = function: lib.attrNames (lib.functionArgs function);
          known = argumentsOf ours.dockerTools.${name};
          unknown = lib.subtractLists known (argumentsOf function);
        in
        lib.optionals (lib.isFunction function && known != [ ]) (
          map (argument: "${name} has no argument ${argument}") unknown
        )
      ) functions
    )
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: own: map (problem: "${name} ${problem}") (problemsOf name own)
      ) (imagesOf theirs)
    );
}

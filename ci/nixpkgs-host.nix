# nixpkgs' examples of dockerTools to build with seatrial.dockerTools, with programs of this host in
# the place of packages, so that nothing is downloaded: see ci/nixpkgs-examples.
{ nixpkgs, seatrial }:
let
  pkgs = import nixpkgs {
    # The stdenv that uses programs of the host.
    stdenvStages =
      arguments:
      import (nixpkgs + "/pkgs/stdenv/native") (removeAttrs arguments [ "crossOverlays" ]);
    overlays = [ overlay ];
  };
  package =
    name: script:
    derivation {
      inherit name;
      inherit (pkgs.stdenv.hostPlatform) system;
      builder = "/bin/bash";
      args = [
        "-ec"
        "export PATH=/usr/bin; mkdir -p $out/bin; ${script}"
      ];
    };
  # A package with links to programs of the host.
  host = name: files: package name "for f in ${files}; do ln -s /usr/bin/$f $out/bin/; done";
  # A script that is a package.
  script =
    name: text:
    package name "cp ${builtins.toFile name text} $out/bin/${name}; chmod 755 $out/bin/*";
  hosts = builtins.mapAttrs host {
    bashNonInteractive = "bash";
    emacs = "true";
    fakeroot = "fakeroot";
    file = "file";
    findutils = "find xargs";
    gnugrep = "grep";
    gnutar = "tar";
    gzip = "gzip";
    jq = "jq";
    nano = "true";
    nginx = "true";
    nix = "nix-store";
    patchelf = "patchelf";
    redis = "true";
    shadow = "true";
    sqlite = "sqlite3";
    vim = "true";
    xz = "xz";
    zstd = "zstd";
    coreutils = "cat chmod chown cp echo env id ln ls mkdir mktemp mv rm stat touch";
  };
  overlay =
    final: _:
    hosts
    // rec {
      bash = hosts.bashNonInteractive // {
        shellPath = "/bin/bash";
        meta.mainProgram = "bash";
      };
      bashInteractive = bash;
      runtimeShell = "/usr/bin/bash";
      runtimeShellPackage = bash;
      pkgsStatic = final;
      busybox = package "busybox" ''
        cp /usr/bin/busybox $out/bin/
        for f in sh cat; do ln -s busybox $out/bin/$f; done
      '';
      cacert = final.writeTextDir "etc/ssl/certs/ca-bundle.crt" "";
      hello = final.writeShellScriptBin "hello" "echo Hello, world!";
      lndir = script "lndir" ''
        #!/usr/bin/bash
        # lndir -silent FROM TO
        (cd "$2" && find . -type d) | while read -r d; do mkdir -p "$3/$d"; done
        (cd "$2" && find . ! -type d) | while read -r f; do
          [ -e "$3/$f" ] || [ -L "$3/$f" ] || ln -s "$2/''${f#./}" "$3/$f"
        done
      '';
      proot = script "proot" ''
        #!/usr/bin/bash
        exec /usr/bin/proot -b /usr -b /lib -b /lib64 "$@"
      '';
      # With the functions of File::Slurp that the activation of NixOS' etc needs.
      perl =
        final.writeTextFile {
          name = "perl";
          executable = true;
          destination = "/bin/perl";
          text = ''
            #!/usr/bin/bash
            exec /usr/bin/perl -I${slurp} "$@"
          '';
        }
        // {
          withPackages = _: perl;
        };
      slurp = final.writeTextDir "File/Slurp.pm" ''
        package File::Slurp;
        use Exporter 'import';
        our @EXPORT = qw(read_file write_file);
        sub read_file {
          my ($name, %options) = @_;
          open(my $file, "<", $name) or return;
          my @lines = <$file>;
          chomp @lines if $options{chomp};
          return wantarray ? @lines : join("", @lines);
        }
        sub write_file {
          my ($name, @lines) = @_;
          open(my $file, ">", $name) or die;
          print $file @lines;
        }
        1;
      '';
      dockerTools = final.callPackage ../nix/docker-tools.nix {
        seatrial = package "seatrial" "cp ${seatrial} $out/bin/seatrial";
      };
    };
  file = nixpkgs + "/pkgs/build-support/docker/examples.nix";
  functions = builtins.intersectAttrs (pkgs.lib.functionArgs (import file)) pkgs.dockerTools;
in
# Without those that need the network, a compiler for another platform, or packages as they are.
removeAttrs (pkgs.callPackage file functions) [
  "cross"
  "nix-shell-basic"
  "nix-shell-build-derivation"
  "nixFromDockerHub"
  "onTopOfPulledImage"
  "override"
  "overrideDerivation"
  "testNixFromDockerHub"
]

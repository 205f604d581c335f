# Images for tests of single arguments.
{ pkgs, dockerTools }:
with pkgs;
with dockerTools;
let
  # A package with links to folders: within it, of another package, and of a folder above them.
  links = runCommand "links-1.0" { } ''
    mkdir -p $out/real/sub
    echo content > $out/real/sub/file
    ln -s real $out/link
    ln -s ${hello}/bin $out/outside
    ln -s .. $out/real/up
    ln -s real/sub/file $out/file
  '';
  image = arguments: buildImage ({ name = "links"; copyToRoot = links; } // arguments);
in
{
  shadow = streamLayeredImage {
    name = "shadow";
    contents = [ busybox ];
    enableFakechroot = true;
    fakeRootCommands = ''
      ${shadowSetup}
      groupadd -r redis
      useradd -r -g redis redis
      mkdir /data
      chown redis:redis /data
    '';
  };
  shadowAsRoot = buildImage {
    name = "shadow";
    copyToRoot = busybox;
    runAsRoot = ''
      ${shadowSetup}
      groupadd -r redis
      useradd -r -g redis redis
      mkdir /data
      # Busybox is linked statically, which fakeroot cannot change.
      /usr/bin/chown redis:redis /data
    '';
  };
  ownedSingle = image {
    uid = 7;
    gid = 8;
  };
  ownedByCommands = image {
    uid = 7;
    gid = 8;
    extraCommands = "echo made > made";
  };
  linksCopied = image { };
  linksCopiedByCommands = image { extraCommands = "echo made > made"; };
  linksCopiedAsRoot = image { runAsRoot = "echo made > /made"; };
  linksKept = image { keepContentsDirlinks = true; };
  linksKeptByCommands = image {
    keepContentsDirlinks = true;
    extraCommands = "echo made > made";
  };
  linksKeptAsRoot = image {
    keepContentsDirlinks = true;
    runAsRoot = "echo made > /made";
  };
}

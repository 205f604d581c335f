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
  # As NixOS has it: files are links into the store, of which some are several folders deep.
  login = writeText "pam-login" "auth required pam_unix.so\n";
  etc = runCommand "etc" { } ''
    mkdir -p $out/etc/pam.d $out/etc/ssl/certs
    ln -s ${login} $out/etc/pam.d/login
    ln -s ${cacert}/etc/ssl/certs/ca-bundle.crt $out/etc/ssl/certs/ca-certificates.crt
    ln -s ${writeText "hosts" "127.0.0.1 localhost\n"} $out/etc/hosts
  '';
  image = arguments: buildImage ({ name = "links"; copyToRoot = links; } // arguments);
in
{
  etcAsContent = streamLayeredImage {
    name = "etc";
    contents = [ etc ];
  };
  etcAsSingle = buildImage {
    name = "etc";
    compressor = "none";
    copyToRoot = etc;
  };
  # As the activation of NixOS makes it.
  etcActivated = streamLayeredImage {
    name = "etc";
    contents = [ busybox ];
    enableFakechroot = true;
    fakeRootCommands = ''
      mkdir -p /etc/pam.d
      ln -s ${etc}/etc /etc/static
      ln -s /etc/static/hosts /etc/hosts
      ln -s /etc/static/pam.d/login /etc/pam.d/login
      ln -s /etc/static/ssl /etc/ssl
      cp ${login} /etc/login.tmp
      chown 1:2 /etc/login.tmp
      chmod 600 /etc/login.tmp
      mv /etc/login.tmp /etc/login
    '';
  };
  # Of several contents with the same folders.
  copiedByCommands = buildImage {
    name = "copied";
    copyToRoot = [
      hello
      other
    ];
    extraCommands = "mkdir made";
  };
  copiedAsRoot = buildImage {
    name = "copied";
    copyToRoot = [
      hello
      other
    ];
    runAsRoot = ''
      echo temporary > "$(/usr/bin/mktemp)"
      echo made > /share/doc/made
    '';
  };
  temporaryFiles = streamLayeredImage {
    name = "temporary";
    contents = [ busybox ];
    enableFakechroot = true;
    fakeRootCommands = ''
      echo temporary > "$(mktemp)"
      echo made > /made
    '';
  };
  overridden = (buildLayeredImage {
    name = "overridden";
    contents = [ hello ];
  }).override { tag = "2.0"; };
  mergedZstd = mergeImages [
    (image { name = "one"; })
    (image { name = "two"; compressor = "zstd"; })
  ];
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

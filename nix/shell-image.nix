# Images that behave like nix-shell for a derivation.
{
  lib,
  runCommand,
  writeText,
  bashInteractive,
  fakeNss,
  binSh,
  usrBinEnv,
  cacert,
  storeDir,
  streamLayeredImage,
  buildLayeredImage,
}:
let
  # The folder of a build in Nix's sandbox.
  buildFolder = "/build";

  # A value of a derivation's attribute as Nix puts it into the environment of its builder.
  stringOf =
    value:
    if builtins.isList value then
      lib.concatStringsSep " " (map stringOf value)
    else if builtins.isPath value then
      "${value}"
    else
      toString value;

  argumentsOf =
    {
      drv,
      name ? drv.name + "-env",
      tag ? null,
      uid ? 1000,
      gid ? 1000,
      homeDirectory ? buildFolder,
      shell ? bashInteractive + "/bin/bash",
      command ? null,
      run ? null,
    }:
    assert lib.assertMsg (!(drv.drvAttrs.__structuredAttrs or false))
      "the derivation ${drv.name} has __structuredAttrs, for which a shell image cannot be made";
    assert lib.assertMsg (
      command == null || run == null
    ) "the shell image ${name}: give either command or run";
    let
      attributes = drv.drvAttrs;
      builder = runCommand "build-derivation" { } ''
        mkdir -p $out/bin
        cat > $out/bin/buildDerivation <<'END'
        #!${shell}
        exec ${lib.escapeShellArgs (map stringOf ([ attributes.builder ] ++ attributes.args))}
        END
        chmod 755 $out/bin/buildDerivation
      '';
      path = "${dirOf shell}:${builder}/bin";

      # What nix-shell does before it hands over the prompt (Nix, src/nix-build/nix-build.cc).
      start = writeText "nix-shell-rc" (
        ''
          unset PATH
          dontAddDisableDepTrack=1
          if [ -e "$stdenv/setup" ]; then . "$stdenv/setup"; fi
          PATH=${path}:"$PATH"
          SHELL=${shell}
          BASH=${shell}
          set +e
          if [ -n "$PS1" ] && [ -z "$NIX_SHELL_PRESERVE_PROMPT" ]; then PS1='\n[nix-shell:\w]\$ '; fi
          if [ "$(type -t runHook)" = function ]; then runHook shellHook; fi
          unset NIX_ENFORCE_PURITY
          shopt -u nullglob
          shopt -s execfail
        ''
        + lib.optionalString (command != null) (command + "\nexit\n")
        + lib.optionalString (run != null) (run + "\nexit\n")
      );

      passed = attributes.passAsFile or [ ];
      inherited = lib.mapAttrs (_: stringOf) (
        removeAttrs attributes (
          passed
          ++ [
            "args"
            "builder"
            "system"
            "outputs"
            "passAsFile"
          ]
        )
      );
      # Texts too long for the environment, as files.
      files = lib.listToAttrs (
        map (name: {
          name = "${name}Path";
          value = "${writeText "pass-as-text-${name}" (stringOf attributes.${name})}";
        }) passed
      );
      outputs = lib.genAttrs (drv.outputs or [ "out" ]) (
        output: builtins.unsafeDiscardStringContext (drv.${output} or drv).outPath
      );
      # The environment of a builder (Nix, src/libstore/build/local-derivation-goal.cc).
      environment = {
        SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
        NIX_SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
        PATH = path;
        HOME = homeDirectory;
        NIX_STORE = storeDir;
        NIX_BUILD_CORES = "1";
      }
      // inherited
      // files
      // outputs
      // {
        NIX_BUILD_TOP = buildFolder;
        TMPDIR = buildFolder;
        TEMPDIR = buildFolder;
        TMP = buildFolder;
        TEMP = buildFolder;
        PWD = buildFolder;
        TERM = "xterm-256color";
      };
      owner = "${toString uid}:${toString gid}";
    in
    {
      inherit name tag;
      contents = [
        binSh
        usrBinEnv
        (fakeNss.override {
          extraPasswdLines = [
            "nixbld:x:${owner}:Build user:${homeDirectory}:/noshell"
          ];
          extraGroupLines = [ "nixbld:!:${toString gid}:" ];
        })
      ];
      fakeRootCommands = ''
        mkdir -p ./nix/store ./nix/var/nix ./etc/nix
        chown -R ${owner} ./nix ./etc/nix
        for folder in .${buildFolder} ./tmp; do
          mkdir -p $folder
          chown -R ${owner} $folder
        done
        echo 'experimental-features = nix-command flakes' > ./etc/nix/nix.conf
      '';
      config = {
        User = owner;
        Cmd = if run == null then [ shell "--rcfile" "${start}" ] else [ shell "${start}" ];
        WorkingDir = buildFolder;
        Env = lib.mapAttrsToList (name: value: "${name}=${value}") environment;
      };
    };
in
{
  streamNixShellImage = args: streamLayeredImage (argumentsOf args);

  buildNixShellImage =
    {
      drv,
      compressor ? "gz",
      ...
    }@args:
    buildLayeredImage (argumentsOf (removeAttrs args [ "compressor" ]) // { inherit compressor; });
}

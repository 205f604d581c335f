# An image of a registry as an archive: a derivation whose hash is known, so that it may use the
# network. The archive is seatrial's, so the hash is not that of nixpkgs' pullImage.
{
  lib,
  seatrial,
  runCommand,
  cacert,
}:
{
  pullImage =
    {
      imageName,
      # The digest of the manifest, or of the index for several platforms: sha256:...
      imageDigest,
      # Hash of the archive: `hash`, `sha256`, or `outputHash` with `outputHashAlgo`. Nix prints the
      # right one for `hash = ""`.
      hash ? null,
      sha256 ? null,
      outputHash ? if hash != null then hash else sha256,
      outputHashAlgo ? if hash != null && hash != "" then null else "sha256",
      os ? "linux",
      arch ? null,
      variant ? null,
      finalImageName ? imageName,
      finalImageTag ? "latest",
      tlsVerify ? true,
      name ? builtins.replaceStrings [ "/" ":" ] [
        "-"
        "-"
      ] "docker-image-${finalImageName}-${finalImageTag}.tar",
    }:
    assert lib.assertMsg (outputHash != null)
      (
        "in docker image ${imageName}: pullImage needs the hash of its archive; "
        + "with hash = \"\", Nix prints it"
      );
    let
      # Without `arch`, seatrial takes the platform that it runs on.
      platform = lib.optionalString (arch != null) (
        "--platform ${os}/${arch}" + lib.optionalString (variant != null) "/${variant}"
      );
    in
    runCommand name
      {
        inherit imageDigest outputHash outputHashAlgo;
        outputHashMode = "flat";
        imageName = finalImageName;
        imageTag = finalImageTag;
        impureEnvVars = lib.fetchers.proxyImpureEnvVars;
        SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      }
      ''
        ${seatrial}/bin/seatrial --quiet pull ${imageName}@${imageDigest} ${platform} --no-cache \
          ${lib.optionalString (!tlsVerify) "--plain-http"} \
          --name ${finalImageName} --tag ${finalImageTag} -o $out
      '';
}

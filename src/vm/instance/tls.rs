//! The keys to a machine's API: an authority of the machine's own, made when it starts and gone with it.
//!
//! The engine listens on a port that any user of the host can connect to. Only who holds the client's key,
//! which lies in the machine's private folder, gets an answer (docs.docker.com, "Protect the Docker daemon
//! socket").

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use crate::vm::VmError;

/// What who wants to use the API needs, in a machine's folder.
pub(in crate::vm) const CLIENT_FILES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// What the guest gets: file names and contents.
pub(in crate::vm) type ServerFiles = [(&'static str, String); 3];

/// Makes the keys. The client's go to `folder`, under the names that the `docker` program looks for.
pub(in crate::vm) fn make(folder: &Path) -> Result<ServerFiles, VmError> {
    let authority_key = KeyPair::generate()?;
    let mut authority = params("seatrial", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let signed = |name: &str, usage, names: &[&str]| -> Result<(String, String), VmError> {
        let key = KeyPair::generate()?;
        let mut params = params(name, names.iter().map(ToString::to_string).collect())?;
        params.extended_key_usages = vec![usage];
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    };
    let names = ["localhost", "node.localhost", "127.0.0.1"];
    let (server, server_key) = signed("server", ExtendedKeyUsagePurpose::ServerAuth, &names)?;
    let (client, client_key) = signed("client", ExtendedKeyUsagePurpose::ClientAuth, &[])?;
    for (name, content) in CLIENT_FILES.into_iter().zip([&authority_pem, &client, &client_key]) {
        let path = folder.join(name);
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(VmError::file("write", &path))?;
    }
    Ok([("ca.pem", authority_pem), ("server.pem", server), ("server-key.pem", server_key)])
}

/// Valid whatever the guest's clock says.
fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, VmError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    Ok(params)
}

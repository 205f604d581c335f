//! Certificates for the API of a VM's engine, signed by an authority that exists for this VM only.
//!
//! The engine listens on a port that every user of the host can connect to. It only answers clients
//! with the client's certificate and key, which are in the VM's private folder (docs.docker.com,
//! "Protect the Docker daemon socket").

use std::io::Write;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use crate::vm::VmError;
use crate::vm::folders::create_file;

/// The files that a client needs, in the VM's folder, with the names that `docker` expects.
pub(in crate::vm) const CLIENT_FILES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// The files for the guest: names and contents.
pub(in crate::vm) type ServerFiles = [(&'static str, String); 3];

/// Creates the certificates. The client's files are written to `folder`, the server's are returned.
pub(in crate::vm) fn create(folder: &Path) -> Result<ServerFiles, VmError> {
    let authority_key = KeyPair::generate()?;
    let mut authority = params("seatrial", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let sign = |name: &str, usage, names: &[&str]| -> Result<(String, String), VmError> {
        let key = KeyPair::generate()?;
        let mut params = params(name, names.iter().map(ToString::to_string).collect())?;
        params.extended_key_usages = vec![usage];
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    };
    let names = ["localhost", "node.localhost", "stream.localhost", "127.0.0.1"];
    let (server, server_key) = sign("server", ExtendedKeyUsagePurpose::ServerAuth, &names)?;
    let (client, client_key) = sign("client", ExtendedKeyUsagePurpose::ClientAuth, &[])?;
    for (name, content) in CLIENT_FILES.into_iter().zip([&authority_pem, &client, &client_key]) {
        let path = folder.join(name);
        create_file(&path)?.write_all(content.as_bytes()).map_err(VmError::file("write", &path))?;
    }
    Ok([("ca.pem", authority_pem), ("server.pem", server), ("server-key.pem", server_key)])
}

/// Returns the parameters of a certificate that is valid with any time on the guest's clock.
fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, VmError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    Ok(params)
}

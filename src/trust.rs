//! The certificate authorities that TLS connections to Asterisk and to RabbitMQ are checked against:
//! the system's, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` name.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, Error, RootCertStore};

/// The authorities, read anew: they are few reads (one a start or reconnect) and may change.
pub fn authorities() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("certificate authorities: {error}");
    }
    found.certs
}

/// A TLS client that trusts [`authorities`]. An error means that TLS is not to be had here at all.
pub fn client() -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

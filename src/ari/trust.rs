//! The certificate authorities that https:// and wss:// to Asterisk are checked against: the
//! system's, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` name.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::error::AriError;

/// The authorities, read anew: they are few reads (one a start or reconnect) and may change.
pub(super) fn authorities() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("certificate authorities: {error}");
    }
    found.certs
}

/// A TLS client that trusts [`authorities`].
pub(super) fn client() -> Result<Arc<ClientConfig>, AriError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AriError::Url(format!("TLS is not to be had: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

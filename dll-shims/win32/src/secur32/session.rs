//! A TLS connection as schannel shows it: records in, records out, a state between.

use std::io::{Read, Write};
use std::sync::{Arc, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use transom_sdk::foundation as f;
use windows_sys::Win32::Security::Authentication::Identity as i;

use super::credentials::{Credential, Own};
use super::verifier::{Check, Refusal, Verifier};
use crate::crypt32::element::Element;

/// Bytes of a record's header.
pub(crate) const HEADER: usize = 13;
/// What a record may have after its data. Header and trailer together have room for what any cipher adds.
pub(crate) const TRAILER: usize = 16;
/// The most data of a record.
pub(crate) const MAXIMUM: usize = 16384;

/// A connection.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    refusal: Refusal,
    /// Whether the program wants to end it, as ApplyControlToken says.
    pub(crate) ending: bool,
}

fn versions(credential: &Credential, server: bool) -> Vec<&'static SupportedProtocolVersion> {
    let (two, three) = if server {
        (i::SP_PROT_TLS1_2_SERVER, i::SP_PROT_TLS1_3_SERVER)
    } else {
        (i::SP_PROT_TLS1_2_CLIENT, i::SP_PROT_TLS1_3_CLIENT)
    };
    let wanted =
        |bit| (credential.protocols == 0 || credential.protocols & bit != 0) && credential.without & bit == 0;
    let mut out = Vec::new();
    if wanted(three) {
        out.push(&rustls::version::TLS13);
    }
    if wanted(two) {
        out.push(&rustls::version::TLS12);
    }
    out
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate chain and key that a program brought.
fn identity(own: &[Own]) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let (leaf, key) = own.iter().find_map(|(element, key)| Some((element, key.as_ref()?)))?;
    let key = key.to_pkcs8()?;
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    Some((chain, PrivatePkcs8KeyDer::from(key).into()))
}

impl Session {
    /// A client's connection to a host, perhaps with names of protocols to choose from. `roots` is asked only if the
    /// server's certificate is to be checked here.
    pub(crate) fn client(
        credential: &Credential,
        host: &str,
        protocols: Vec<Vec<u8>>,
        manual: bool,
        roots: impl FnOnce() -> Vec<Arc<Element>>,
    ) -> Result<Self, i32> {
        let refusal = Refusal::default();
        let named = credential.flags & i::SCH_CRED_NO_SERVERNAME_CHECK == 0 && !host.is_empty();
        let check = (!manual).then(|| Check { roots: roots(), host: named.then(|| host.into()) });
        let verifier = Verifier { check, provider: provider(), refusal: refusal.clone() };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(credential, false))
            .map_err(|_| f::SEC_E_ALGORITHM_MISMATCH)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity(&credential.certificates) {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain, key).map_err(|_| f::SEC_E_UNKNOWN_CREDENTIALS)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols;
        let name = ServerName::try_from(host.to_owned());
        config.enable_sni = name.is_ok();
        // A name that is none of a host is not sent, but rustls must have one.
        let name = name.or_else(|_| ServerName::try_from("unnamed")).map_err(|_| f::SEC_E_INTERNAL_ERROR)?;
        let connection =
            ClientConnection::new(Arc::new(config), name).map_err(|_| f::SEC_E_INTERNAL_ERROR)?;
        Ok(Self { connection: connection.into(), refusal, ending: false })
    }

    /// A server's connection, with the credential's certificate.
    pub(crate) fn server(credential: &Credential, protocols: Vec<Vec<u8>>) -> Result<Self, i32> {
        let (chain, key) = identity(&credential.certificates).ok_or(f::SEC_E_NO_CREDENTIALS)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(credential, true))
            .map_err(|_| f::SEC_E_ALGORITHM_MISMATCH)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|_| f::SEC_E_UNKNOWN_CREDENTIALS)?;
        config.alpn_protocols = protocols;
        let connection = ServerConnection::new(Arc::new(config)).map_err(|_| f::SEC_E_INTERNAL_ERROR)?;
        Ok(Self { connection: connection.into(), refusal: Refusal::default(), ending: false })
    }

    /// The status for a failure of the protocol.
    fn failure(&self, error: &rustls::Error) -> i32 {
        log::debug!("TLS: {error}");
        let refused = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        refused.unwrap_or(match error {
            rustls::Error::PeerIncompatible(_) => f::SEC_E_ALGORITHM_MISMATCH,
            rustls::Error::DecryptError => f::SEC_E_DECRYPT_FAILURE,
            rustls::Error::NoCertificatesPresented => f::SEC_E_NO_CREDENTIALS,
            _ => f::SEC_E_ILLEGAL_MESSAGE,
        })
    }

    /// Takes one record.
    pub(crate) fn take(&mut self, mut record: &[u8]) -> Result<rustls::IoState, i32> {
        while !record.is_empty() {
            match self.connection.read_tls(&mut record) {
                Ok(0) | Err(_) => return Err(f::SEC_E_INTERNAL_ERROR),
                Ok(_) => {}
            }
        }
        self.connection.process_new_packets().map_err(|error| self.failure(&error))
    }

    /// The records that are to be sent.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            // Writing to memory does not fail.
            let _ = self.connection.write_tls(&mut out);
        }
        out
    }

    /// The data of the records that were taken.
    pub(crate) fn data(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        // At the end of what is there, the reader says so with an error.
        let _ = self.connection.reader().read_to_end(&mut out);
        out
    }

    /// A record with data.
    pub(crate) fn seal(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        self.connection.writer().write_all(data).ok()?;
        Some(self.output())
    }
}

/// The length of the first record, or how many bytes are missing of it at least.
pub(crate) fn record(bytes: &[u8]) -> Result<usize, usize> {
    const RECORD_HEADER: usize = 5;
    let Some(header) = bytes.first_chunk::<RECORD_HEADER>() else { return Err(RECORD_HEADER - bytes.len()) };
    let len = RECORD_HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
    if bytes.len() < len { Err(len - bytes.len()) } else { Ok(len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole_or_not() {
        assert_eq!(record(&[22, 3, 3]), Err(2));
        assert_eq!(record(&[22, 3, 3, 0, 2, 1]), Err(1));
        assert_eq!(record(&[22, 3, 3, 0, 2, 1, 2, 9]), Ok(7));
    }
}

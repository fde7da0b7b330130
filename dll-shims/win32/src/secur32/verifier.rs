//! Whether a client takes a server's certificate: as crypt32's chains and policy of servers say, unless the program says that it
//! looks itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use transom_sdk::foundation as f;

use crate::crypt32::chain::{self, Request, Uses};
use crate::crypt32::element::Element;
use crate::crypt32::policy;

/// Why a certificate was refused, for the function that carries the handshake on.
pub(crate) type Refusal = Arc<Mutex<Option<i32>>>;

/// What a server's certificate is checked against.
pub(crate) struct Check {
    pub(crate) roots: Vec<Arc<Element>>,
    /// The name it must be for, if that is checked.
    pub(crate) host: Option<String>,
}

/// Checks a server's certificate, or leaves that to the program.
pub(crate) struct Verifier {
    pub(crate) check: Option<Check>,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) refusal: Refusal,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("checks", &self.check.is_some()).finish_non_exhaustive()
    }
}

/// schannel's status for an error of crypt32's policies.
fn status(error: i32) -> i32 {
    match error {
        f::CERT_E_UNTRUSTEDROOT | f::CERT_E_CHAINING => f::SEC_E_UNTRUSTED_ROOT,
        f::CERT_E_EXPIRED => f::SEC_E_CERT_EXPIRED,
        f::CERT_E_CN_NO_MATCH => f::SEC_E_WRONG_PRINCIPAL,
        f::CERT_E_WRONG_USAGE => f::SEC_E_CERT_WRONG_USAGE,
        _ => f::SEC_E_CERT_UNKNOWN,
    }
}

/// serverAuth.
const SERVER: &str = "1.3.6.1.5.5.7.3.1";

impl Check {
    /// What is wrong with a server's certificates.
    fn judge(&self, leaf: &[u8], others: &[CertificateDer<'_>]) -> Option<i32> {
        let Some(leaf) = Element::new(leaf) else { return Some(f::SEC_E_ILLEGAL_MESSAGE) };
        let others: Vec<_> = others.iter().filter_map(|other| Element::new(other)).collect();
        let when = transom_syscalls::time::system_time();
        let uses = Uses { any_of_them: false, oids: vec![SERVER.into()] };
        let links = chain::build(&leaf, &Request { roots: &self.roots, others: &others, when, uses });
        policy::server(&links, 0, self.host.as_deref()).map(|(error, _)| status(error))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.check.as_ref().and_then(|check| check.judge(leaf, others)) {
            None => Ok(ServerCertVerified::assertion()),
            Some(refused) => {
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

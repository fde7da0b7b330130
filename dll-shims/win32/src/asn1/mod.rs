//! ASN.1 in DER: reading and writing values, object identifiers, and what X.509 certificates are made of. Structures of
//! Windows' are in `crypt32`, keys in `keys`.

pub(crate) mod oid;
pub(crate) mod read;
pub(crate) mod write;
pub(crate) mod x509;

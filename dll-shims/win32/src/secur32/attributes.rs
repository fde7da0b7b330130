//! QueryContextAttributes: what is known of a connection.

use rustls::{Connection, ProtocolVersion};
use transom_sdk::{Cx, Guest, Nt, Ptr, foundation as f, shim};
use windows_sys::Win32::Security::Authentication::Identity as i;
use windows_sys::Win32::Security::Cryptography as c;

use super::handshake::{get, lock};
use super::session::{HEADER, MAXIMUM, TRAILER};
use super::{SecHandle, answer, internal, length};
use crate::crypt32::context::{self, Context};
use crate::crypt32::element::Element;
use crate::crypt32::store;

/// SecPkgContext_StreamSizes.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::SecPkgContext_StreamSizes)]
struct StreamSizes {
    header: u32,
    trailer: u32,
    maximum: u32,
    buffers: u32,
    block: u32,
}

/// SecPkgContext_ConnectionInfo.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::SecPkgContext_ConnectionInfo)]
struct ConnectionInfo {
    protocol: u32,
    cipher: u32,
    cipher_bits: u32,
    hash: u32,
    hash_bits: u32,
    exchange: u32,
    exchange_bits: u32,
}

fn connection_info(connection: &Connection) -> Option<ConnectionInfo> {
    let three = connection.protocol_version()? == ProtocolVersion::TLSv1_3;
    let protocol = match connection {
        Connection::Client(_) if three => i::SP_PROT_TLS1_3_CLIENT,
        Connection::Client(_) => i::SP_PROT_TLS1_2_CLIENT,
        Connection::Server(_) if three => i::SP_PROT_TLS1_3_SERVER,
        Connection::Server(_) => i::SP_PROT_TLS1_2_SERVER,
    };
    let suite = format!("{:?}", connection.negotiated_cipher_suite()?.suite());
    let (cipher, cipher_bits) = if suite.contains("AES_128") {
        (c::CALG_AES_128, 128)
    } else if suite.contains("AES_256") {
        (c::CALG_AES_256, 256)
    } else {
        // ChaCha20 has no number.
        (0, 256)
    };
    let (hash, hash_bits) =
        if suite.ends_with("SHA384") { (c::CALG_SHA_384, 384) } else { (c::CALG_SHA_256, 256) };
    Some(ConnectionInfo {
        protocol,
        cipher,
        cipher_bits,
        hash,
        hash_bits,
        exchange: c::CALG_ECDH_EPHEM,
        exchange_bits: 256,
    })
}

/// SecPkgContext_ApplicationProtocol: whether there is one, of which extension, and its name.
fn application_protocol(connection: &Connection) -> Vec<u8> {
    const NAME: usize = 255;
    let name = connection.alpn_protocol().unwrap_or_default();
    // None and no extension, or agreed by ALPN.
    let (status, extension) = if name.is_empty() { (0u32, 0u32) } else { (1, 2) };
    let mut out = [status.to_le_bytes(), extension.to_le_bytes()].concat();
    out.push(u8::try_from(name.len()).unwrap_or(0));
    out.extend(name);
    out.resize(9 + NAME, 0);
    out
}

/// The peer's certificate, with the others that it sent in a store.
fn remote_certificate(cx: &Cx, connection: &Connection) -> Nt<Context> {
    let sent = connection.peer_certificates().unwrap_or_default();
    let elements: Vec<_> = sent.iter().filter_map(|der| Element::new(der)).collect();
    let leaf = elements.first().cloned().ok_or(answer(f::SEC_E_NO_CREDENTIALS))?;
    let store = store::open_with(cx, elements);
    let handle = store.handle;
    let context = context::make(cx, leaf, Some(store)).map_err(internal)?;
    // The context keeps the store.
    store::close(cx, handle).map_err(internal)?;
    Ok(context)
}

/// Retrieves an attribute of a context: sizes, the peer's certificate, the cipher, the protocol that was chosen.
#[shim(
    secur32(QueryContextAttributesW, QueryContextAttributesA),
    partial = "sizes, the peer's certificate, the connection, the application's protocol"
)]
fn QueryContextAttributesW(cx: &Cx, context: Ptr<SecHandle>, attribute: u32, out: Ptr<u8>) -> Nt<()> {
    let session = get(cx, context)?;
    let session = lock(&session);
    let connection = &session.connection;
    match attribute {
        i::SECPKG_ATTR_SIZES => {
            let sizes = [MAXIMUM + HEADER + TRAILER, 0, 1, HEADER + TRAILER].map(length);
            Ok(out.cast().write(cx, sizes)?)
        }
        i::SECPKG_ATTR_STREAM_SIZES => {
            let sizes = StreamSizes {
                header: length(HEADER),
                trailer: length(TRAILER),
                maximum: length(MAXIMUM),
                buffers: 4,
                block: 1,
            };
            Ok(out.cast().write(cx, sizes)?)
        }
        i::SECPKG_ATTR_CONNECTION_INFO => {
            let info = connection_info(connection).ok_or(answer(f::SEC_E_INVALID_HANDLE))?;
            Ok(out.cast().write(cx, info)?)
        }
        i::SECPKG_ATTR_APPLICATION_PROTOCOL => Ok(out.write_slice(&application_protocol(connection))?),
        i::SECPKG_ATTR_REMOTE_CERT_CONTEXT => {
            let context = remote_certificate(cx, connection)?;
            Ok(out.cast().write(cx, context)?)
        }
        _ => Err(answer(f::SEC_E_UNSUPPORTED_FUNCTION)),
    }
}

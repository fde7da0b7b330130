//! EncryptMessage and DecryptMessage: data in records, in the caller's buffers.

use transom_sdk::{Cx, Nt, Ptr, foundation as f, shim};
use windows_sys::Win32::Security::Authentication::Identity as i;

use super::handshake::{get, lock};
use super::session::{MAXIMUM, record};
use super::{Buffer, BufferList, SecHandle, answer, length};

type Buffers = [(Ptr<Buffer>, Buffer)];

fn of_kind(buffers: &Buffers, kind: u32) -> Option<(Ptr<Buffer>, Buffer)> {
    buffers.iter().find(|(_, buffer)| buffer.kind == kind).copied()
}

/// Writes a record over header, data and trailer, which programs send one after the other: only the trailer's length changes.
fn spread(cx: &Cx, bytes: &[u8], parts: [(Ptr<Buffer>, Buffer); 3]) -> Nt<()> {
    let [(_, header), (_, data), (at, trailer)] = parts;
    let small = || answer(f::SEC_E_BUFFER_TOO_SMALL);
    let (first, rest) = bytes.split_at_checked(header.len as usize).ok_or_else(small)?;
    let (second, third) = rest.split_at_checked(data.len as usize).ok_or_else(small)?;
    if third.len() > trailer.len as usize {
        return Err(small());
    }
    header.data.write_slice(first)?;
    data.data.write_slice(second)?;
    trailer.data.write_slice(third)?;
    Ok(at.write(cx, Buffer { len: length(third.len()), ..trailer })?)
}

/// Encrypts a message in place, between a header and a trailer.
#[shim(secur32)]
fn EncryptMessage(
    cx: &Cx,
    context: Ptr<SecHandle>,
    _quality: u32,
    message: Ptr<BufferList>,
    _sequence: u32,
) -> Nt<()> {
    let session = get(cx, context)?;
    let buffers = BufferList::read(cx, message)?;
    let invalid = answer(f::SEC_E_INVALID_TOKEN);
    let header = of_kind(&buffers, i::SECBUFFER_STREAM_HEADER).ok_or(invalid)?;
    let data = of_kind(&buffers, i::SECBUFFER_DATA).ok_or(invalid)?;
    let trailer = of_kind(&buffers, i::SECBUFFER_STREAM_TRAILER).ok_or(invalid)?;
    if data.1.len as usize > MAXIMUM {
        return Err(answer(f::SEC_E_INVALID_PARAMETER));
    }
    let plain = data.1.data.read_slice(data.1.len as usize)?;
    let mut session = lock(&session);
    if session.connection.is_handshaking() {
        return Err(answer(f::SEC_E_CONTEXT_EXPIRED));
    }
    let sealed = session.seal(&plain).ok_or(answer(f::SEC_E_ENCRYPT_FAILURE))?;
    spread(cx, &sealed, [header, data, trailer])
}

/// Decrypts the first record of a message in place. Its parts are told in the message's buffers, and what follows it as extra. A record
/// without data (a new session's ticket, say) gives none.
#[shim(secur32)]
fn DecryptMessage(
    cx: &Cx,
    context: Ptr<SecHandle>,
    message: Ptr<BufferList>,
    _sequence: u32,
    quality: Ptr<u32>,
) -> Nt<()> {
    const RECORD_HEADER: u64 = 5;
    let session = get(cx, context)?;
    let buffers = BufferList::read(cx, message)?;
    let (_, input) = of_kind(&buffers, i::SECBUFFER_DATA).ok_or(answer(f::SEC_E_INVALID_TOKEN))?;
    let bytes = input.data.read_slice(input.len as usize)?;
    let len = match record(&bytes) {
        Ok(len) => len,
        Err(missing) => {
            if let Some((at, buffer)) = of_kind(&buffers, i::SECBUFFER_EMPTY) {
                at.write(cx, Buffer { len: length(missing), kind: i::SECBUFFER_MISSING, ..buffer })?;
            }
            return Err(answer(f::SEC_E_INCOMPLETE_MESSAGE));
        }
    };
    let mut session = lock(&session);
    let state = session.take(&bytes[..len]).map_err(answer)?;
    let plain = session.data();
    drop(session);
    quality.write_opt(cx, 0)?;
    let at = input.data.byte_add(RECORD_HEADER);
    at.write_slice(&plain)?;
    let after = at.byte_add(plain.len() as u64);
    let mut parts = vec![
        Buffer { len: 5, kind: i::SECBUFFER_STREAM_HEADER, data: input.data },
        Buffer { len: length(plain.len()), kind: i::SECBUFFER_DATA, data: at },
        Buffer {
            len: length(len.saturating_sub(plain.len() + 5)),
            kind: i::SECBUFFER_STREAM_TRAILER,
            data: after,
        },
    ];
    if len < bytes.len() {
        let data = input.data.byte_add(len as u64);
        parts.push(Buffer { len: length(bytes.len() - len), kind: i::SECBUFFER_EXTRA, data });
    }
    for ((place, _), part) in buffers.iter().zip(parts) {
        place.write(cx, part)?;
    }
    if state.peer_has_closed() && plain.is_empty() { Err(answer(f::SEC_I_CONTEXT_EXPIRED)) } else { Ok(()) }
}

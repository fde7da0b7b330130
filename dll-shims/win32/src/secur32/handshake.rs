//! Contexts and their handshakes: a program carries records between here and its peer until both are content.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_sdk::{Cx, Nt, Ptr, WStr, foundation as f, shim};
use windows_sys::Win32::Security::Authentication::Identity as i;

use super::credentials::{self, Credential};
use super::session::{Session, record};
use super::{Buffer, BufferList, SecHandle, answer, internal, length};
use crate::crypt32::store;

type Shared = Arc<Mutex<Session>>;

/// Connections by number.
#[derive(Default)]
struct State(Mutex<(usize, HashMap<usize, Shared>)>);

/// The second word of a context's handle.
const MARK: usize = 0x6378;

fn contexts(cx: &Cx) -> MutexGuard<'_, (usize, HashMap<usize, Shared>)> {
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection of a context.
pub(crate) fn get(cx: &Cx, handle: Ptr<SecHandle>) -> Nt<Shared> {
    let invalid = answer(f::SEC_E_INVALID_HANDLE);
    if handle.is_null() {
        return Err(invalid);
    }
    let handle = handle.read(cx)?;
    let known = contexts(cx).1.get(&handle.lower).filter(|_| handle.upper == MARK).cloned();
    known.ok_or(invalid)
}

/// The connection, for this thread alone.
pub(crate) fn lock(session: &Shared) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(cx: &Cx, session: Session, out: Ptr<SecHandle>) -> Nt<Shared> {
    let session = Arc::new(Mutex::new(session));
    let mut state = contexts(cx);
    state.0 += 1;
    let lower = state.0;
    state.1.insert(lower, session.clone());
    drop(state);
    out.write(cx, SecHandle { lower, upper: MARK })?;
    Ok(session)
}

/// The names of protocols of a buffer of SEC_APPLICATION_PROTOCOLS: lists of an extension's number, a length, and names with
/// their lengths; those of ALPN count.
fn protocols(buffers: &[(Ptr<Buffer>, Buffer)]) -> Nt<Vec<Vec<u8>>> {
    const ALPN: u8 = 2;
    let given = buffers.iter().find(|(_, buffer)| buffer.kind == i::SECBUFFER_APPLICATION_PROTOCOLS);
    let Some((_, buffer)) = given else { return Ok(Vec::new()) };
    let bytes = buffer.data.read_slice(buffer.len as usize)?;
    let mut rest = bytes.get(4..).unwrap_or_default();
    let mut out = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<6>() {
        let len = usize::from(u16::from_le_bytes([head[4], head[5]]));
        let (mut names, next) = after.split_at(len.min(after.len()));
        while let Some((&len, more)) = names.split_first() {
            let (name, left) = more.split_at(usize::from(len).min(more.len()));
            if head[0] == ALPN {
                out.push(name.to_vec());
            }
            names = left;
        }
        rest = next;
    }
    Ok(out)
}

/// Feeds the peer's records of the input to a handshake. What is left over is told as extra, also when the handshake is done.
fn feed(cx: &Cx, session: &mut Session, buffers: &[(Ptr<Buffer>, Buffer)]) -> Nt<()> {
    let Some((_, token)) = buffers.iter().find(|(_, buffer)| buffer.kind == i::SECBUFFER_TOKEN) else {
        return Ok(());
    };
    let bytes = token.data.read_slice(token.len as usize)?;
    let mut used = 0;
    while session.connection.is_handshaking() && used < bytes.len() {
        match record(&bytes[used..]) {
            Ok(len) => {
                session.take(&bytes[used..used + len]).map_err(answer)?;
                used += len;
            }
            Err(missing) if used == 0 => {
                if let Some((at, buffer)) =
                    buffers.iter().find(|(_, buffer)| buffer.kind == i::SECBUFFER_EMPTY)
                {
                    at.write(cx, Buffer { len: length(missing), kind: i::SECBUFFER_MISSING, ..*buffer })?;
                }
                return Err(answer(f::SEC_E_INCOMPLETE_MESSAGE));
            }
            Err(_) => break,
        }
    }
    if let Some((at, _)) = buffers.iter().find(|(_, buffer)| buffer.kind == i::SECBUFFER_EMPTY)
        && used < bytes.len()
    {
        let data = token.data.byte_add(used as u64);
        at.write(cx, Buffer { len: length(bytes.len() - used), kind: i::SECBUFFER_EXTRA, data })?;
    }
    Ok(())
}

/// Gives records to the output's token: in a block that is made, or in the caller's.
fn give(cx: &Cx, output: Ptr<BufferList>, token: &[u8], allocate: bool) -> Nt<()> {
    let buffers = BufferList::read(cx, output)?;
    // Programs that want a block made give an empty buffer, too.
    let of_kind = |kind| buffers.iter().find(|(_, buffer)| buffer.kind == kind);
    let place = of_kind(i::SECBUFFER_TOKEN).or_else(|| of_kind(i::SECBUFFER_EMPTY).filter(|_| allocate));
    let Some((at, buffer)) = place else {
        return if token.is_empty() { Ok(()) } else { Err(answer(f::SEC_E_INVALID_TOKEN)) };
    };
    let mut data = buffer.data;
    if allocate {
        data = if token.is_empty() {
            Ptr::NULL
        } else {
            Ptr::new(
                crate::crypt32::block(cx, |area| {
                    area.put(token);
                })
                .map_err(internal)?,
            )
        };
    } else if token.len() > buffer.len as usize {
        return Err(answer(f::SEC_E_BUFFER_TOO_SMALL));
    } else if !token.is_empty() {
        data.write_slice(token)?;
    }
    Ok(at.write(cx, Buffer { len: length(token.len()), kind: i::SECBUFFER_TOKEN, data })?)
}

/// One step of a handshake.
fn step(
    cx: &Cx,
    session: &Shared,
    input: &[(Ptr<Buffer>, Buffer)],
    output: Ptr<BufferList>,
    allocate: bool,
) -> Nt<()> {
    let mut session = lock(session);
    if session.ending {
        session.connection.send_close_notify();
        let token = session.output();
        return give(cx, output, &token, allocate);
    }
    let fed = feed(cx, &mut session, input);
    let token = session.output();
    if let Err(error) = fed {
        // What is sent beside a failure is an alert for the peer.
        give(cx, output, &token, allocate)?;
        return Err(error);
    }
    give(cx, output, &token, allocate)?;
    if session.connection.is_handshaking() { Err(answer(f::SEC_I_CONTINUE_NEEDED)) } else { Ok(()) }
}

fn start_client(
    cx: &Cx,
    credential: &Credential,
    host: &str,
    flags: u32,
    input: &[(Ptr<Buffer>, Buffer)],
) -> Nt<Session> {
    let manual = credential.flags & i::SCH_CRED_MANUAL_CRED_VALIDATION != 0
        || flags & i::ISC_REQ_MANUAL_CRED_VALIDATION != 0;
    let roots = || store::roots(cx);
    Session::client(credential, host, protocols(input)?, manual, roots).map_err(answer)
}

/// Initiates the client side of a context, or carries its handshake on.
#[shim(secur32, ansi, partial = "revocation is not checked; no renegotiation")]
fn InitializeSecurityContextW(
    cx: &Cx,
    credential: Ptr<SecHandle>,
    context: Ptr<SecHandle>,
    target: Option<WStr>,
    flags: u32,
    _reserved: u32,
    _representation: u32,
    input: Ptr<BufferList>,
    _reserved2: u32,
    new: Ptr<SecHandle>,
    output: Ptr<BufferList>,
    attributes: Ptr<u32>,
    expiry: Ptr<i64>,
) -> Nt<()> {
    let buffers = BufferList::read(cx, input)?;
    let session = if context.is_null() {
        let credential = credentials::get(cx, credential)?;
        let host = String::from_utf16_lossy(&target.map(WStr::get).transpose()?.unwrap_or_default());
        let session = start_client(cx, &credential, &host, flags, &buffers)?;
        add(cx, session, new)?
    } else {
        let session = get(cx, context)?;
        if !new.is_null() && new != context {
            new.write(cx, context.read(cx)?)?;
        }
        session
    };
    // The bits of what is granted are those of what was asked.
    attributes.write_opt(cx, flags)?;
    expiry.write_opt(cx, i64::MAX)?;
    step(cx, &session, &buffers, output, flags & i::ISC_REQ_ALLOCATE_MEMORY != 0)
}

/// Initiates the server side of a context, or carries its handshake on.
#[shim(secur32, partial = "clients' certificates are not asked for")]
fn AcceptSecurityContext(
    cx: &Cx,
    credential: Ptr<SecHandle>,
    context: Ptr<SecHandle>,
    input: Ptr<BufferList>,
    flags: u32,
    _representation: u32,
    new: Ptr<SecHandle>,
    output: Ptr<BufferList>,
    attributes: Ptr<u32>,
    expiry: Ptr<i64>,
) -> Nt<()> {
    let buffers = BufferList::read(cx, input)?;
    let session = if context.is_null() {
        let credential = credentials::get(cx, credential)?;
        let session = Session::server(&credential, protocols(&buffers)?).map_err(answer)?;
        add(cx, session, new)?
    } else {
        get(cx, context)?
    };
    attributes.write_opt(cx, flags)?;
    expiry.write_opt(cx, i64::MAX)?;
    step(cx, &session, &buffers, output, flags & i::ASC_REQ_ALLOCATE_MEMORY != 0)
}

/// Completes an authentication token: TLS has none that needs it.
#[shim(secur32)]
fn CompleteAuthToken(cx: &Cx, context: Ptr<SecHandle>, _token: Ptr<BufferList>) -> Nt<()> {
    get(cx, context)?;
    Err(answer(f::SEC_E_UNSUPPORTED_FUNCTION))
}

/// Applies a control token to a context: the wish to end it. The next step of the handshake then makes the message.
#[shim(secur32, partial = "the token of ending")]
fn ApplyControlToken(cx: &Cx, context: Ptr<SecHandle>, input: Ptr<BufferList>) -> Nt<()> {
    let session = get(cx, context)?;
    let buffers = BufferList::read(cx, input)?;
    let token = buffers.iter().find(|(_, buffer)| buffer.kind == i::SECBUFFER_TOKEN && buffer.len >= 4);
    match token.map(|(_, buffer)| buffer.data.cast::<u32>().read(cx)).transpose()? {
        Some(i::SCHANNEL_SHUTDOWN) => {
            lock(&session).ending = true;
            Ok(())
        }
        _ => Err(answer(f::SEC_E_UNSUPPORTED_FUNCTION)),
    }
}

/// Deletes a security context.
#[shim(secur32)]
fn DeleteSecurityContext(cx: &Cx, context: Ptr<SecHandle>) -> Nt<()> {
    get(cx, context)?;
    let number = context.read(cx)?.lower;
    contexts(cx).1.remove(&number);
    Ok(())
}

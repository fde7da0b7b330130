//! What packages there are, and the table of functions that some programs ask for in place of importing them.

use std::sync::OnceLock;

use transom_sdk::{Cx, Guest, Nt, Out, Ptr, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::Security::Authentication::Identity as i;

use super::credentials::is_schannel;
use super::{answer, internal};

/// SecPkgInfoW.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Security::Authentication::Identity::SecPkgInfoW)]
struct Package {
    capabilities: u32,
    version: u16,
    rpc: u16,
    token: u32,
    name: Ptr<u8>,
    comment: Ptr<u8>,
}

const NAME: &str = "Microsoft Unified Security Protocol Provider";
const COMMENT: &str = "Schannel Security Package";

/// A block with the description of the one package.
fn describe(cx: &Cx, ansi: bool) -> Nt<Ptr<u8>> {
    const CAPABILITIES: u32 = i::SECPKG_FLAG_INTEGRITY
        | i::SECPKG_FLAG_PRIVACY
        | i::SECPKG_FLAG_CONNECTION
        | i::SECPKG_FLAG_MULTI_REQUIRED
        | i::SECPKG_FLAG_EXTENDED_ERROR
        | i::SECPKG_FLAG_ACCEPT_WIN32_NAME
        | i::SECPKG_FLAG_STREAM
        | i::SECPKG_FLAG_MUTUAL_AUTH;
    /// The number of schannel (UNISP_RPC_ID).
    const RPC: u16 = 14;
    /// The largest token of a handshake.
    const TOKEN: u32 = 0x6000;
    let at = crate::crypt32::block(cx, |area| {
        let at = area.reserve::<Package>(1);
        let mut text =
            |text: &str| if ansi { area.text(text.as_bytes()) } else { area.wide_text(text.as_bytes()) };
        let (name, comment) = (text(NAME), text(COMMENT));
        area.set(
            at,
            &Package { capabilities: CAPABILITIES, version: 1, rpc: RPC, token: TOKEN, name, comment },
        );
    });
    at.map(Ptr::new).map_err(internal)
}

/// Retrieves information about a security package.
#[shim(secur32, ansi)]
fn QuerySecurityPackageInfoW(cx: &Cx, name: WStr, out: Out<Ptr<u8>>) -> Nt<()> {
    if !is_schannel(&name.get()?) {
        return Err(answer(f::SEC_E_SECPKG_NOT_FOUND));
    }
    Ok(out.write(cx, describe(cx, name.is_ansi())?)?)
}

/// Lists the security packages: one.
#[shim(secur32)]
fn EnumerateSecurityPackagesW(cx: &Cx, count: Out<u32>, out: Out<Ptr<u8>>) -> Nt<()> {
    count.write(cx, 1)?;
    Ok(out.write(cx, describe(cx, false)?)?)
}

/// The ANSI form.
#[shim(secur32)]
fn EnumerateSecurityPackagesA(cx: &Cx, count: Out<u32>, out: Out<Ptr<u8>>) -> Nt<()> {
    count.write(cx, 1)?;
    Ok(out.write(cx, describe(cx, true)?)?)
}

/// Frees a buffer that a security package has allocated.
#[shim(secur32)]
fn FreeContextBuffer(cx: &Cx, buffer: Ptr<u8>) -> Nt<()> {
    if buffer.is_null() {
        return Ok(());
    }
    cx.heaps().process().free(buffer.addr()).map_err(|_| answer(f::SEC_E_INVALID_HANDLE))
}

/// The tables of functions, of W forms and of A forms, made once.
#[derive(Default)]
struct Interfaces([OnceLock<u64>; 2]);

/// How many functions a SECURITY_FUNCTION_TABLE has.
const COUNT: usize = 31;

/// The places in it of those that are here, and whether they have two forms; the others are NULL.
const FUNCTIONS: [(usize, &str, bool); 13] = [
    (0, "EnumerateSecurityPackages", true),
    (2, "AcquireCredentialsHandle", true),
    (3, "FreeCredentialsHandle", false),
    (5, "InitializeSecurityContext", true),
    (6, "AcceptSecurityContext", false),
    (7, "CompleteAuthToken", false),
    (8, "DeleteSecurityContext", false),
    (9, "ApplyControlToken", false),
    (10, "QueryContextAttributes", true),
    (15, "FreeContextBuffer", false),
    (16, "QuerySecurityPackageInfo", true),
    (24, "EncryptMessage", false),
    (25, "DecryptMessage", false),
];

fn interface(cx: &Cx, form: char) -> Win32<Ptr<u8>> {
    /// SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION.
    const VERSION: u64 = 1;
    let known = &cx.state::<Interfaces>().0[usize::from(form == 'A')];
    if let Some(&at) = known.get() {
        return Ok(Ptr::new(at));
    }
    let module = cx.modules().by_name("secur32.dll");
    let address = |name: &str| {
        module.as_ref().and_then(|module| cx.modules().address_of_name(module, name.as_bytes())).unwrap_or(0)
    };
    let block = cx.heaps().process().alloc(((COUNT + 1) * cx.size_of::<usize>()) as u64, true);
    let table = Ptr::<Ptr<u8>>::new(block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?);
    // The version has 32 bits, and the rest of its word none.
    table.write(cx, Ptr::new(VERSION))?;
    for (at, name, forms) in FUNCTIONS {
        let name = if forms { format!("{name}{form}") } else { name.into() };
        table.add(cx, at + 1).write(cx, Ptr::new(address(&name)))?;
    }
    Ok(Ptr::new(*known.get_or_init(|| table.addr())))
}

/// Returns a pointer to a table of the functions here.
#[shim(secur32, partial = "the functions that are not here are NULL")]
fn InitSecurityInterfaceW(cx: &Cx) -> Win32<Ptr<u8>> {
    interface(cx, 'W')
}

/// The ANSI form.
#[shim(secur32, partial = "the functions that are not here are NULL")]
fn InitSecurityInterfaceA(cx: &Cx) -> Win32<Ptr<u8>> {
    interface(cx, 'A')
}

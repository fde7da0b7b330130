//! secur32.dll: security packages. There are none, so that programs fall back on their own TLS or say that they have none.

use transom_sdk::{Out, Ptr, foundation as f, shim};

/// Acquires a handle to the credentials of a security principal: there is no package to have any.
#[shim(secur32(AcquireCredentialsHandleW, AcquireCredentialsHandleA))]
fn AcquireCredentialsHandleW(
    _principal: Ptr<u8>,
    _package: Ptr<u8>,
    _use: u32,
    _logon: Ptr<u8>,
    _data: Ptr<u8>,
    _key_function: Ptr<u8>,
    _key_argument: Ptr<u8>,
    _credential: Ptr<u8>,
    _expiry: Ptr<u8>,
) -> i32 {
    f::SEC_E_SECPKG_NOT_FOUND
}

/// Notifies the security system that credentials are no longer needed: there are none.
#[shim(secur32)]
fn FreeCredentialsHandle(_credential: Ptr<u8>) -> i32 {
    f::SEC_E_INVALID_HANDLE
}

/// Deletes a security context: there is none.
#[shim(secur32)]
fn DeleteSecurityContext(_context: Ptr<u8>) -> i32 {
    f::SEC_E_INVALID_HANDLE
}

/// Retrieves information about a security package: there is none.
#[shim(secur32(QuerySecurityPackageInfoW, QuerySecurityPackageInfoA))]
fn QuerySecurityPackageInfoW(_name: Ptr<u8>, _out: Ptr<u8>) -> i32 {
    f::SEC_E_SECPKG_NOT_FOUND
}

/// Lists the security packages: there are none.
#[shim(secur32(EnumerateSecurityPackagesW, EnumerateSecurityPackagesA))]
fn EnumerateSecurityPackagesW(
    cx: &transom_sdk::Cx,
    count: Out<u32>,
    out: Out<Ptr<u8>>,
) -> transom_sdk::Win32<i32> {
    count.write(cx, 0)?;
    out.write(cx, Ptr::NULL)?;
    Ok(f::SEC_E_OK)
}

/// Frees a buffer that a security package has allocated: there is none.
#[shim(secur32)]
fn FreeContextBuffer(_buffer: Ptr<u8>) -> i32 {
    f::SEC_E_OK
}

/// The table of functions that InitSecurityInterface returns, made once.
#[derive(Default)]
struct Interface(std::sync::OnceLock<u64>);

/// How many functions a SECURITY_FUNCTION_TABLE has.
const COUNT: usize = 31;

/// The places in it of those that are here; the others are NULL.
const FUNCTIONS: [(usize, &str); 6] = [
    (0, "EnumerateSecurityPackagesW"),
    (2, "AcquireCredentialsHandleW"),
    (3, "FreeCredentialsHandle"),
    (8, "DeleteSecurityContext"),
    (15, "FreeContextBuffer"),
    (16, "QuerySecurityPackageInfoW"),
];

/// Returns a pointer to a table of the functions here: a program that wants to know whether there are packages asks through it.
#[shim(
    secur32(InitSecurityInterfaceW, InitSecurityInterfaceA),
    partial = "the functions of contexts, which nobody gets, are NULL"
)]
fn InitSecurityInterfaceW(cx: &transom_sdk::Cx) -> transom_sdk::Win32<Ptr<u8>> {
    /// SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION.
    const VERSION: usize = 1;
    let known = &cx.state::<Interface>().0;
    if let Some(&at) = known.get() {
        return Ok(Ptr::new(at));
    }
    let module = cx.modules().by_name("secur32.dll");
    let address = |name: &str| {
        module.as_ref().and_then(|module| cx.modules().address_of_name(module, name.as_bytes())).unwrap_or(0)
    };
    let block = cx.heaps().process().alloc(((COUNT + 1) * cx.size_of::<usize>()) as u64, true);
    let table = Ptr::<Ptr<u8>>::new(block.ok_or(transom_sdk::WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?);
    // The version has 32 bits, and the rest of its word none.
    table.write(cx, Ptr::new(VERSION as u64))?;
    for (i, name) in FUNCTIONS {
        table.add(cx, i + 1).write(cx, Ptr::new(address(name)))?;
    }
    Ok(Ptr::new(*known.get_or_init(|| table.addr())))
}

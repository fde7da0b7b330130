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

//! The Windows version (`sysinfoapi.h`, `winbase.h`): what programs are told, and comparisons with it.

use transom_sdk::{Cx, Out, Ptr, Status, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::sysinfo as v;
use windows_sys::Win32::System::Diagnostics::Debug::VER_PLATFORM_WIN32_NT;
use windows_sys::Win32::System::SystemInformation as si;
use windows_sys::Win32::System::SystemServices as ss;

/// The service pack's name in OSVERSIONINFO: characters, all NUL.
const NAME: usize = 128;

/// Fills an OSVERSIONINFO(EX) whose characters are `unit` bytes wide. False if its size is not one of the two.
fn fill(info: Ptr<u8>, unit: usize) -> Result<bool, transom_sdk::BadAddress> {
    let small = 20 + NAME * unit;
    let large = small + 8;
    let size = mem::read::<u32>(info.addr())? as usize;
    if size != small && size != large {
        return Ok(false);
    }
    let mut bytes = vec![0u8; size];
    let fields =
        [mem::read::<u32>(info.addr())?, v::OS_MAJOR, v::OS_MINOR, v::OS_BUILD, VER_PLATFORM_WIN32_NT];
    for (at, value) in bytes.chunks_exact_mut(4).zip(fields) {
        at.copy_from_slice(&value.to_le_bytes());
    }
    if size == large {
        // Service pack 0.0, then the suites and the product type.
        let suites = ss::VER_SUITE_SINGLEUSERTS | ss::VER_SUITE_TERMINAL;
        bytes[small + 4..small + 8].copy_from_slice(&(suites | ss::VER_NT_WORKSTATION << 16).to_le_bytes());
    }
    mem::copy_out(info.addr(), &bytes)?;
    Ok(true)
}

/// Gets information about the operating system version. Programs without a manifest are told the same as others.
#[shim(kernel32)]
fn GetVersionExW(info: Ptr<u8>) -> Win32<()> {
    if fill(info, 2)? { Ok(()) } else { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) }
}

/// As GetVersionExW, with a service pack name of bytes.
#[shim(kernel32)]
fn GetVersionExA(info: Ptr<u8>) -> Win32<()> {
    if fill(info, 1)? { Ok(()) } else { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) }
}

/// Returns version information about the currently running operating system.
#[shim(ntdll)]
fn RtlGetVersion(info: Ptr<u8>) -> transom_sdk::Nt<()> {
    if fill(info, 2)? { Ok(()) } else { Err(Status(f::STATUS_INVALID_PARAMETER).into()) }
}

/// Gets the version numbers; the build number's top four bits say that it is a free build.
#[shim(ntdll)]
fn RtlGetNtVersionNumbers(
    cx: &Cx,
    major: Option<Out<u32>>,
    minor: Option<Out<u32>>,
    build: Option<Out<u32>>,
) -> Win32<()> {
    for (out, value) in [(major, v::OS_MAJOR), (minor, v::OS_MINOR), (build, v::OS_BUILD | 0xF000_0000)] {
        if let Some(out) = out {
            out.write(cx, value)?;
        }
    }
    Ok(())
}

/// Gets the version number of the operating system: build, minor and major version in one value.
#[shim(kernel32)]
fn GetVersion() -> u32 {
    v::OS_BUILD << 16 | v::OS_MINOR << 8 | v::OS_MAJOR
}

/// Retrieves the product type for the operating system.
#[shim(kernel32, ntdll(RtlGetProductInfo))]
fn GetProductInfo(
    cx: &Cx,
    major: u32,
    _minor: u32,
    _service_pack_major: u32,
    _service_pack_minor: u32,
    kind: Out<u32>,
) -> Win32<bool> {
    if major < 6 || kind.is_null() {
        return Ok(false);
    }
    kind.write(cx, si::PRODUCT_PROFESSIONAL)?;
    Ok(true)
}

/// The bits that a VER_* type has in a condition mask.
fn condition_shift(kind: u32) -> Option<u32> {
    (kind != 0 && kind <= si::VER_PRODUCT_TYPE).then(|| kind.trailing_zeros() * 3)
}

/// Sets the bits of a 64-bit value to indicate the comparison operator to use for a version attribute.
#[shim(kernel32, ntdll)]
fn VerSetConditionMask(mask: u64, kind: u32, condition: u8) -> u64 {
    let Some(top) = kind.checked_ilog2() else { return mask };
    match condition_shift(1 << top) {
        Some(shift) => mask | u64::from(condition & 7) << shift,
        None => mask,
    }
}

/// A version as programs ask about it, read from OSVERSIONINFOEX.
struct Asked {
    major: u32,
    minor: u32,
    build: u32,
    platform: u32,
    pack_major: u16,
    pack_minor: u16,
    suites: u16,
    product: u8,
}

fn asked(info: Ptr<u8>, unit: u64) -> Result<Asked, transom_sdk::BadAddress> {
    let at = info.addr();
    let tail = at + 20 + NAME as u64 * unit;
    Ok(Asked {
        major: mem::read(at + 4)?,
        minor: mem::read(at + 8)?,
        build: mem::read(at + 12)?,
        platform: mem::read(at + 16)?,
        pack_major: mem::read(tail)?,
        pack_minor: mem::read(tail + 2)?,
        suites: mem::read(tail + 4)?,
        product: mem::read(tail + 6)?,
    })
}

/// Whether `actual` stands in the relation to `wanted`.
fn holds(actual: u32, wanted: u32, condition: u32) -> bool {
    match condition {
        ss::VER_EQUAL => actual == wanted,
        ss::VER_GREATER => actual > wanted,
        ss::VER_GREATER_EQUAL => actual >= wanted,
        ss::VER_LESS => actual < wanted,
        ss::VER_LESS_EQUAL => actual <= wanted,
        _ => false,
    }
}

/// Compares as VerifyVersionInfo does; `None` for a mask without a type.
fn verify(asked: &Asked, kinds: u32, conditions: u64) -> Option<bool> {
    if kinds == 0 || conditions == 0 {
        return None;
    }
    let condition = |kind: u32| {
        condition_shift(kind).map_or(0, |shift| u32::try_from(conditions >> shift & 7).unwrap_or(0))
    };
    let has = |kind: u32| kinds & kind != 0;
    let simple = [
        (si::VER_PRODUCT_TYPE, ss::VER_NT_WORKSTATION, asked.product.into()),
        (si::VER_BUILDNUMBER, v::OS_BUILD, asked.build),
        (si::VER_PLATFORMID, VER_PLATFORM_WIN32_NT, asked.platform),
    ];
    if simple.iter().any(|&(kind, actual, wanted)| has(kind) && !holds(actual, wanted, condition(kind))) {
        return Some(false);
    }
    if has(si::VER_SUITENAME) {
        let ours = ss::VER_SUITE_SINGLEUSERTS | ss::VER_SUITE_TERMINAL;
        let wanted = u32::from(asked.suites);
        let fine = match condition(si::VER_SUITENAME) {
            ss::VER_AND => ours & wanted == wanted,
            ss::VER_OR => ours & wanted != 0 || wanted == 0,
            _ => return None,
        };
        if !fine {
            return Some(false);
        }
    }
    // Major, minor and service pack are compared as one number, by the relation of the first that is asked for.
    let parts = [
        (si::VER_MAJORVERSION, v::OS_MAJOR, asked.major),
        (si::VER_MINORVERSION, v::OS_MINOR, asked.minor),
        (si::VER_SERVICEPACKMAJOR, 0, asked.pack_major.into()),
        (si::VER_SERVICEPACKMINOR, 0, asked.pack_minor.into()),
    ];
    let mut parts = parts.into_iter().filter(|(kind, ..)| has(*kind)).peekable();
    let Some(relation) = parts.peek().map(|(kind, ..)| condition(*kind)) else { return Some(true) };
    let mut last = (0, 0);
    for (_, actual, wanted) in parts {
        last = (actual, wanted);
        if actual != wanted {
            break;
        }
    }
    Some(holds(last.0, last.1, relation))
}

fn verify_result(result: Option<bool>) -> Win32<()> {
    match result {
        Some(true) => Ok(()),
        Some(false) => Err(WinError::Code(f::ERROR_OLD_WIN_VERSION)),
        None => Err(WinError::Code(f::ERROR_BAD_ARGUMENTS)),
    }
}

/// Compares a set of operating system version requirements to the corresponding values for the running system.
#[shim(kernel32)]
fn VerifyVersionInfoW(info: Ptr<u8>, kinds: u32, conditions: u64) -> Win32<()> {
    verify_result(verify(&asked(info, 2)?, kinds, conditions))
}

/// As VerifyVersionInfoW, with a service pack name of bytes.
#[shim(kernel32)]
fn VerifyVersionInfoA(info: Ptr<u8>, kinds: u32, conditions: u64) -> Win32<()> {
    verify_result(verify(&asked(info, 1)?, kinds, conditions))
}

/// Compares version requirements to the running system's.
#[shim(ntdll)]
fn RtlVerifyVersionInfo(info: Ptr<u8>, kinds: u32, conditions: u64) -> transom_sdk::Nt<()> {
    match verify(&asked(info, 2)?, kinds, conditions) {
        Some(true) => Ok(()),
        Some(false) => Err(Status(f::STATUS_REVISION_MISMATCH).into()),
        None => Err(Status(f::STATUS_INVALID_PARAMETER).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32, minor: u32, build: u32) -> Asked {
        Asked { major, minor, build, platform: 2, pack_major: 0, pack_minor: 0, suites: 0, product: 1 }
    }

    #[test]
    fn versions_compare_as_one_number() {
        let mask = |kinds: &[u32], condition: u32| {
            let condition = u8::try_from(condition).expect("a small number");
            kinds.iter().fold(0, |mask, &kind| VerSetConditionMask(mask, kind, condition))
        };
        let kinds = [si::VER_MAJORVERSION, si::VER_MINORVERSION, si::VER_SERVICEPACKMAJOR];
        let all = kinds.iter().fold(0, |a, k| a | k);
        let at_least = mask(&kinds, ss::VER_GREATER_EQUAL);
        assert_eq!(verify(&version(6, 3, 0), all, at_least), Some(true));
        assert_eq!(verify(&version(10, 0, 0), all, at_least), Some(true));
        assert_eq!(verify(&version(10, 1, 0), all, at_least), Some(false));
        assert_eq!(verify(&version(11, 0, 0), all, at_least), Some(false));
        assert_eq!(verify(&version(6, 0, 0), all, mask(&kinds, ss::VER_EQUAL)), Some(false));
        let build = mask(&[si::VER_BUILDNUMBER], ss::VER_GREATER_EQUAL);
        assert_eq!(verify(&version(0, 0, 19_041), si::VER_BUILDNUMBER, build), Some(true));
        assert_eq!(verify(&version(0, 0, 22_000), si::VER_BUILDNUMBER, build), Some(false));
        assert_eq!(verify(&version(6, 0, 0), 0, at_least), None);
    }
}

//! API sets: contract names that stand for a host DLL.

/// The DLL that implements an API set contract (`api-ms-win-crt-stdio-l1-1-0.dll`), by lower-case name, or `None` if the
/// name is not one.
#[must_use]
pub fn resolve(name: &str) -> Option<&'static str> {
    let contract = name.strip_prefix("api-ms-win-").or_else(|| name.strip_prefix("ext-ms-win-"))?;
    Some(if contract.starts_with("crt-") {
        "ucrtbase.dll"
    } else if contract.starts_with("core-") {
        "kernel32.dll"
    } else {
        "advapi32.dll"
    })
}

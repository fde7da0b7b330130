//! API sets: names of contracts, such as `api-ms-win-core-file-l1-2-0.dll`, that stand for the DLL which hosts them.
//!
//! A contract's name ends in its version (`-l1-2-0`). A host serves all versions of its contract, so tables hold the names without
//! it; only where the levels (`l1`, `l2`) of a contract live in different DLLs is the exception listed, with its level.
//!
//! The hosts are those of desktop Windows 10 and 11. Whether Transom has such a DLL, or has it under another name (`kernelbase.dll`
//! is `kernel32.dll`), is for the layer above to know. A contract that is not listed does not exist, as on an edition of
//! Windows that lacks it: programs test for such (`ext-ms-*` above all) before they use them.

/// Longest name that is looked up; the longest contract has some 70 characters.
const MAX_NAME: usize = 96;

/// The DLL that hosts an API set contract, in lower case, such as `ucrtbase.dll` for `api-ms-win-crt-stdio-l1-1-0.dll`. `None` if
/// the name is not that of a contract, or of one that is not known. Case does not matter, nor whether `.dll` is there.
#[must_use]
pub fn resolve(name: &str) -> Option<&'static str> {
    let mut buffer = [0; MAX_NAME];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let lower = std::str::from_utf8(lower).ok()?;
    let lower = lower.strip_suffix(".dll").unwrap_or(lower);
    let (table, contract) = match lower.strip_prefix("api-ms-win-") {
        Some(contract) => (API, contract),
        None => (EXT, lower.strip_prefix("ext-ms-win-")?),
    };
    let (name, with_level) = split_version(contract)?;
    find(table, with_level).or_else(|| find(table, name))
}

/// Splits `core-file-l1-2-0` into `core-file` and `core-file-l1`.
fn split_version(contract: &str) -> Option<(&str, &str)> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, patch) = contract.rsplit_once('-')?;
    let (with_level, minor) = rest.rsplit_once('-')?;
    let (name, level) = with_level.rsplit_once('-')?;
    (number(patch) && number(minor) && number(level.strip_prefix('l')?)).then_some((name, with_level))
}

fn find(table: &[(&str, &'static str)], contract: &str) -> Option<&'static str> {
    table.binary_search_by(|(name, _)| (*name).cmp(contract)).ok().map(|index| table[index].1)
}

/// Contracts whose names begin with `api-ms-win-`, sorted.
static API: &[(&str, &str)] = &[
    ("appmodel-identity", "kernel.appcore.dll"),
    ("appmodel-runtime", "kernel.appcore.dll"),
    ("appmodel-runtime-internal", "kernel.appcore.dll"),
    ("appmodel-state", "kernel.appcore.dll"),
    ("appmodel-unlock", "kernel.appcore.dll"),
    ("base-bootconfig", "advapi32.dll"),
    ("base-util", "advapi32.dll"),
    ("core-apiquery", "ntdll.dll"),
    ("core-apiquery-l2", "kernelbase.dll"),
    ("core-appcompat", "kernelbase.dll"),
    ("core-appinit", "kernel32.dll"),
    ("core-atoms", "kernel32.dll"),
    ("core-backgroundtask", "kernelbase.dll"),
    ("core-biplmapi", "twinapi.appcore.dll"),
    ("core-biptcltapi", "twinapi.appcore.dll"),
    ("core-calendar", "kernel32.dll"),
    ("core-com", "combase.dll"),
    ("core-com-l2", "coml2.dll"),
    ("core-com-midlproxystub", "combase.dll"),
    ("core-com-private", "combase.dll"),
    ("core-comm", "kernelbase.dll"),
    ("core-commandlinetoargv", "kernelbase.dll"),
    ("core-console", "kernelbase.dll"),
    ("core-console-ansi", "kernel32.dll"),
    ("core-console-internal", "kernelbase.dll"),
    ("core-crt", "ntdll.dll"),
    ("core-crt-l2", "kernelbase.dll"),
    ("core-datetime", "kernelbase.dll"),
    ("core-debug", "kernelbase.dll"),
    ("core-debug-minidump", "dbgcore.dll"),
    ("core-delayload", "kernelbase.dll"),
    ("core-enclave", "kernelbase.dll"),
    ("core-errorhandling", "kernelbase.dll"),
    ("core-featurestaging", "shcore.dll"),
    ("core-featuretoggles", "kernelbase.dll"),
    ("core-fibers", "kernelbase.dll"),
    ("core-file", "kernelbase.dll"),
    ("core-file-ansi", "kernel32.dll"),
    ("core-file-fromapp", "kernelbase.dll"),
    ("core-firmware", "kernel32.dll"),
    ("core-guard", "kernelbase.dll"),
    ("core-handle", "kernelbase.dll"),
    ("core-heap", "kernelbase.dll"),
    ("core-heap-obsolete", "kernelbase.dll"),
    ("core-interlocked", "kernelbase.dll"),
    ("core-io", "kernel32.dll"),
    ("core-ioring", "kernelbase.dll"),
    ("core-job", "kernelbase.dll"),
    ("core-job-l2", "kernel32.dll"),
    ("core-kernel32-legacy", "kernel32.dll"),
    ("core-kernel32-legacy-ansi", "kernel32.dll"),
    ("core-kernel32-private", "kernel32.dll"),
    ("core-largeinteger", "kernelbase.dll"),
    ("core-libraryloader", "kernelbase.dll"),
    ("core-libraryloader-private", "kernelbase.dll"),
    ("core-localization", "kernelbase.dll"),
    ("core-localization-ansi", "kernel32.dll"),
    ("core-localization-obsolete", "kernelbase.dll"),
    ("core-localization-private", "kernelbase.dll"),
    ("core-localregistry", "kernelbase.dll"),
    ("core-marshal", "combase.dll"),
    ("core-memory", "kernelbase.dll"),
    ("core-misc", "kernelbase.dll"),
    ("core-multipleproviderrouter", "mpr.dll"),
    ("core-namedpipe", "kernelbase.dll"),
    ("core-namedpipe-ansi", "kernel32.dll"),
    ("core-namespace", "kernelbase.dll"),
    ("core-namespace-ansi", "kernel32.dll"),
    ("core-normalization", "kernelbase.dll"),
    ("core-path", "kernelbase.dll"),
    ("core-pcw", "kernelbase.dll"),
    ("core-perfcounters", "kernelbase.dll"),
    ("core-privateprofile", "kernel32.dll"),
    ("core-processenvironment", "kernelbase.dll"),
    ("core-processenvironment-ansi", "kernel32.dll"),
    ("core-processsecurity", "kernel32.dll"),
    ("core-processsnapshot", "kernelbase.dll"),
    ("core-processthreads", "kernel32.dll"),
    ("core-processtopology", "kernelbase.dll"),
    ("core-processtopology-obsolete", "kernel32.dll"),
    ("core-processtopology-private", "kernelbase.dll"),
    ("core-profile", "kernelbase.dll"),
    ("core-psapi", "kernelbase.dll"),
    ("core-psapi-ansi", "kernelbase.dll"),
    ("core-psapi-obsolete", "kernelbase.dll"),
    ("core-psapiansi", "kernelbase.dll"),
    ("core-psm-app", "twinapi.appcore.dll"),
    ("core-psm-appnotify", "twinapi.appcore.dll"),
    ("core-psm-key", "kernelbase.dll"),
    ("core-psm-plm", "twinapi.appcore.dll"),
    ("core-psm-rtimer", "twinapi.appcore.dll"),
    ("core-psm-tc", "twinapi.appcore.dll"),
    ("core-quirks", "kernelbase.dll"),
    ("core-realtime", "kernelbase.dll"),
    ("core-registry", "kernelbase.dll"),
    ("core-registry-l2", "advapi32.dll"),
    ("core-registry-private", "advapi32.dll"),
    ("core-registryuserspecific", "kernelbase.dll"),
    ("core-rtlsupport", "ntdll.dll"),
    ("core-shlwapi-legacy", "kernelbase.dll"),
    ("core-shlwapi-obsolete", "kernelbase.dll"),
    ("core-shutdown", "advapi32.dll"),
    ("core-shutdown-ansi", "advapi32.dll"),
    ("core-sidebyside", "kernelbase.dll"),
    ("core-sidebyside-ansi", "kernel32.dll"),
    ("core-slapi", "clipc.dll"),
    ("core-state-helpers", "kernelbase.dll"),
    ("core-string", "kernelbase.dll"),
    ("core-string-obsolete", "kernel32.dll"),
    ("core-stringansi", "kernelbase.dll"),
    ("core-stringloader", "kernelbase.dll"),
    ("core-synch", "kernelbase.dll"),
    ("core-synch-ansi", "kernel32.dll"),
    ("core-sysinfo", "kernelbase.dll"),
    ("core-sysinfo-l2", "advapi32.dll"),
    ("core-systemtopology", "kernelbase.dll"),
    ("core-threadpool", "kernelbase.dll"),
    ("core-threadpool-legacy", "kernelbase.dll"),
    ("core-threadpool-private", "kernelbase.dll"),
    ("core-timezone", "kernelbase.dll"),
    ("core-timezone-private", "kernelbase.dll"),
    ("core-toolhelp", "kernel32.dll"),
    ("core-ums", "kernel32.dll"),
    ("core-url", "kernelbase.dll"),
    ("core-util", "kernel32.dll"),
    ("core-version", "kernelbase.dll"),
    ("core-version-private", "kernelbase.dll"),
    ("core-versionansi", "kernelbase.dll"),
    ("core-windowsceip", "kernelbase.dll"),
    ("core-windowserrorreporting", "kernelbase.dll"),
    ("core-winrt", "combase.dll"),
    ("core-winrt-error", "combase.dll"),
    ("core-winrt-errorprivate", "combase.dll"),
    ("core-winrt-propertysetprivate", "wintypes.dll"),
    ("core-winrt-registration", "combase.dll"),
    ("core-winrt-robuffer", "wintypes.dll"),
    ("core-winrt-roparameterizediid", "combase.dll"),
    ("core-winrt-string", "combase.dll"),
    ("core-wow64", "kernelbase.dll"),
    ("core-xstate", "ntdll.dll"),
    ("core-xstate-l2", "kernelbase.dll"),
    ("crt-conio", "ucrtbase.dll"),
    ("crt-convert", "ucrtbase.dll"),
    ("crt-environment", "ucrtbase.dll"),
    ("crt-filesystem", "ucrtbase.dll"),
    ("crt-heap", "ucrtbase.dll"),
    ("crt-locale", "ucrtbase.dll"),
    ("crt-math", "ucrtbase.dll"),
    ("crt-multibyte", "ucrtbase.dll"),
    ("crt-private", "ucrtbase.dll"),
    ("crt-process", "ucrtbase.dll"),
    ("crt-runtime", "ucrtbase.dll"),
    ("crt-stdio", "ucrtbase.dll"),
    ("crt-string", "ucrtbase.dll"),
    ("crt-time", "ucrtbase.dll"),
    ("crt-utility", "ucrtbase.dll"),
    ("deprecated-apis-obsolete", "kernelbase.dll"),
    ("devices-config", "cfgmgr32.dll"),
    ("devices-query", "cfgmgr32.dll"),
    ("devices-swdevice", "cfgmgr32.dll"),
    ("downlevel-advapi32", "kernelbase.dll"),
    ("downlevel-advapi32-l2", "sechost.dll"),
    ("downlevel-advapi32-l3", "ntmarta.dll"),
    ("downlevel-advapi32-l4", "advapi32.dll"),
    ("downlevel-kernel32", "kernelbase.dll"),
    ("downlevel-kernel32-l2", "kernel32.dll"),
    ("downlevel-normaliz", "kernelbase.dll"),
    ("downlevel-ole32", "combase.dll"),
    ("downlevel-shell32", "shcore.dll"),
    ("downlevel-shlwapi", "kernelbase.dll"),
    ("downlevel-shlwapi-l2", "shcore.dll"),
    ("downlevel-user32", "kernelbase.dll"),
    ("downlevel-version", "kernelbase.dll"),
    ("dwmapi", "dwmapi.dll"),
    ("dx-d3dkmt", "gdi32.dll"),
    ("eventing-classicprovider", "kernelbase.dll"),
    ("eventing-consumer", "sechost.dll"),
    ("eventing-controller", "sechost.dll"),
    ("eventing-legacy", "advapi32.dll"),
    ("eventing-obsolete", "sechost.dll"),
    ("eventing-provider", "kernelbase.dll"),
    ("eventing-tdh", "tdh.dll"),
    ("eventlog-legacy", "advapi32.dll"),
    ("gdi-dpiinfo", "gdi32.dll"),
    ("gdi-internal-uap", "gdi32full.dll"),
    ("http-time", "kernelbase.dll"),
    ("legacy-shlwapi", "kernelbase.dll"),
    ("mm-joystick", "winmm.dll"),
    ("mm-mci", "winmm.dll"),
    ("mm-misc", "winmmbase.dll"),
    ("mm-misc-l2", "winmm.dll"),
    ("mm-mme", "winmmbase.dll"),
    ("mm-playsound", "winmm.dll"),
    ("mm-time", "kernel32.dll"),
    ("net-isolation", "firewallapi.dll"),
    ("ntuser-ie-message", "user32.dll"),
    ("ntuser-ie-window", "user32.dll"),
    ("ntuser-rectangle", "user32.dll"),
    ("ntuser-sysparams", "user32.dll"),
    ("obsolete-localization", "kernelbase.dll"),
    ("obsolete-psapi", "kernelbase.dll"),
    ("obsolete-shlwapi", "kernelbase.dll"),
    ("ole32-ie", "ole32.dll"),
    ("oobe-notification", "kernel32.dll"),
    ("perf-legacy", "advapi32.dll"),
    ("power-base", "powrprof.dll"),
    ("power-limitsmanagement", "powrprof.dll"),
    ("power-setting", "powrprof.dll"),
    ("ro-typeresolution", "wintypes.dll"),
    ("rtcore-ntuser-clipboard", "user32.dll"),
    ("rtcore-ntuser-draw", "user32.dll"),
    ("rtcore-ntuser-powermanagement", "user32.dll"),
    ("rtcore-ntuser-private", "user32.dll"),
    ("rtcore-ntuser-shell", "user32.dll"),
    ("rtcore-ntuser-synch", "user32.dll"),
    ("rtcore-ntuser-window", "user32.dll"),
    ("rtcore-ntuser-winevent", "user32.dll"),
    ("rtcore-ntuser-wmpointer", "user32.dll"),
    ("rtcore-ole32-clipboard", "ole32.dll"),
    ("security-accesshlpr", "sechost.dll"),
    ("security-activedirectoryclient", "kernelbase.dll"),
    ("security-appcontainer", "kernelbase.dll"),
    ("security-audit", "sechost.dll"),
    ("security-base", "kernelbase.dll"),
    ("security-base-ansi", "advapi32.dll"),
    ("security-base-private", "kernelbase.dll"),
    ("security-capability", "sechost.dll"),
    ("security-cpwl", "advapi32.dll"),
    ("security-credentials", "sechost.dll"),
    ("security-cryptoapi", "cryptsp.dll"),
    ("security-grouppolicy", "kernelbase.dll"),
    ("security-isolatedcontainer", "shcore.dll"),
    ("security-isolationapi", "sechost.dll"),
    ("security-isolationpolicy", "sechost.dll"),
    ("security-logon", "advapi32.dll"),
    ("security-lsalookup", "sechost.dll"),
    ("security-lsalookup-ansi", "advapi32.dll"),
    ("security-lsalookup-l2", "advapi32.dll"),
    ("security-lsapolicy", "sechost.dll"),
    ("security-provider", "ntmarta.dll"),
    ("security-provider-ansi", "advapi32.dll"),
    ("security-sddl", "sechost.dll"),
    ("security-sddl-ansi", "advapi32.dll"),
    ("security-sddl-private", "sechost.dll"),
    ("security-sddlparsecond", "sechost.dll"),
    ("security-systemfunctions", "advapi32.dll"),
    ("security-trustee", "advapi32.dll"),
    ("service-core", "sechost.dll"),
    ("service-core-ansi", "advapi32.dll"),
    ("service-legacy", "advapi32.dll"),
    ("service-management", "sechost.dll"),
    ("service-private", "sechost.dll"),
    ("service-winsvc", "sechost.dll"),
    ("shcore-comhelpers", "shcore.dll"),
    ("shcore-obsolete", "shcore.dll"),
    ("shcore-path", "shcore.dll"),
    ("shcore-registry", "shcore.dll"),
    ("shcore-scaling", "shcore.dll"),
    ("shcore-stream", "shcore.dll"),
    ("shcore-stream-winrt", "shcore.dll"),
    ("shcore-sysinfo", "shcore.dll"),
    ("shcore-taskpool", "shcore.dll"),
    ("shcore-thread", "shcore.dll"),
    ("shcore-unicodeansi", "shcore.dll"),
    ("shell-associations", "windows.storage.dll"),
    ("shell-changenotify", "windows.storage.dll"),
    ("shell-dataobject", "windows.storage.dll"),
    ("shell-namespace", "windows.storage.dll"),
    ("shell-shdirectory", "shcore.dll"),
    ("shell-shellcom", "kernelbase.dll"),
    ("shell-shellfolders", "windows.storage.dll"),
    ("shlwapi-ie", "shlwapi.dll"),
    ("stateseparation-helpers", "kernelbase.dll"),
];

/// Contracts whose names begin with `ext-ms-win-`, sorted.
static EXT: &[(&str, &str)] = &[
    ("advapi32-auth", "advapi32.dll"),
    ("advapi32-encryptedfile", "advapi32.dll"),
    ("advapi32-eventlog", "advapi32.dll"),
    ("advapi32-eventlog-ansi", "advapi32.dll"),
    ("advapi32-hwprof", "advapi32.dll"),
    ("advapi32-idletask", "advapi32.dll"),
    ("advapi32-lsa", "advapi32.dll"),
    ("advapi32-msi", "advapi32.dll"),
    ("advapi32-npusername", "advapi32.dll"),
    ("advapi32-ntmarta", "advapi32.dll"),
    ("advapi32-registry", "advapi32.dll"),
    ("advapi32-safer", "advapi32.dll"),
    ("advapi32-shutdown", "advapi32.dll"),
    ("authz-claimpolicies", "authz.dll"),
    ("authz-context", "authz.dll"),
    ("base-psapi", "psapi.dll"),
    ("base-rstrtmgr", "rstrtmgr.dll"),
    ("cng-rng", "bcryptprimitives.dll"),
    ("com-ole32", "ole32.dll"),
    ("com-sta", "ole32.dll"),
    ("gdi-clipping", "gdi32.dll"),
    ("gdi-dc", "gdi32.dll"),
    ("gdi-dc-create", "gdi32.dll"),
    ("gdi-devcaps", "gdi32.dll"),
    ("gdi-draw", "gdi32.dll"),
    ("gdi-font", "gdi32.dll"),
    ("gdi-metafile", "gdi32.dll"),
    ("gdi-path", "gdi32.dll"),
    ("gdi-print", "gdi32.dll"),
    ("gdi-private", "gdi32.dll"),
    ("gdi-render", "gdi32.dll"),
    ("gdi-rgn", "gdi32.dll"),
    ("gdi-wcs", "gdi32.dll"),
    ("kernel32-appcompat", "kernel32.dll"),
    ("kernel32-datetime", "kernel32.dll"),
    ("kernel32-elevation", "kernel32.dll"),
    ("kernel32-errorhandling", "kernel32.dll"),
    ("kernel32-file", "kernel32.dll"),
    ("kernel32-localization", "kernel32.dll"),
    ("kernel32-package", "kernel32.dll"),
    ("kernel32-package-current", "kernel32.dll"),
    ("kernel32-process", "kernel32.dll"),
    ("kernel32-quirks", "kernel32.dll"),
    ("kernel32-registry", "kernel32.dll"),
    ("kernel32-sidebyside", "kernel32.dll"),
    ("kernel32-transacted", "kernel32.dll"),
    ("kernel32-updateresource", "kernel32.dll"),
    ("kernel32-windowserrorreporting", "kernel32.dll"),
    ("ntuser-caret", "user32.dll"),
    ("ntuser-chartranslation", "user32.dll"),
    ("ntuser-dc-access", "user32.dll"),
    ("ntuser-dialogbox", "user32.dll"),
    ("ntuser-draw", "user32.dll"),
    ("ntuser-gui", "user32.dll"),
    ("ntuser-keyboard", "user32.dll"),
    ("ntuser-menu", "user32.dll"),
    ("ntuser-message", "user32.dll"),
    ("ntuser-misc", "user32.dll"),
    ("ntuser-mouse", "user32.dll"),
    ("ntuser-powermanagement", "user32.dll"),
    ("ntuser-private", "user32.dll"),
    ("ntuser-rectangle-ext", "user32.dll"),
    ("ntuser-server", "user32.dll"),
    ("ntuser-string", "user32.dll"),
    ("ntuser-synch", "user32.dll"),
    ("ntuser-uicontext-ext", "user32.dll"),
    ("ntuser-window", "user32.dll"),
    ("ntuser-windowclass", "user32.dll"),
    ("ntuser-windowstation", "user32.dll"),
    ("ole32-bindctx", "ole32.dll"),
    ("ole32-ie-ext", "ole32.dll"),
    ("ole32-oleautomation", "ole32.dll"),
    ("session-wtsapi32", "wtsapi32.dll"),
    ("setupapi-classinstallers", "setupapi.dll"),
    ("setupapi-inf", "setupapi.dll"),
    ("setupapi-logging", "setupapi.dll"),
    ("shell-shell32", "shell32.dll"),
    ("shell-shlwapi", "shlwapi.dll"),
    ("shell32-shellcom", "shell32.dll"),
    ("shell32-shellfolders", "shell32.dll"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [API, EXT] {
            assert!(table.is_sorted_by(|(a, _), (b, _)| a < b));
        }
    }

    #[test]
    fn every_entry_is_found_by_its_name() {
        for (prefix, table) in [("api-ms-win-", API), ("ext-ms-win-", EXT)] {
            for &(contract, host) in table {
                let level = contract.rsplit_once("-l").is_some_and(|(_, n)| n.parse::<u8>().is_ok());
                let version = if level { "-1-0.dll" } else { "-l9-8-7.dll" };
                let name = format!("{prefix}{contract}{version}");
                assert_eq!(resolve(&name), Some(host), "{name}");
                assert_eq!(resolve(&name.to_uppercase()), Some(host), "{name}");
                assert_eq!(resolve(name.trim_end_matches(".dll")), Some(host), "{name}");
            }
        }
    }

    #[test]
    fn levels_of_a_contract_may_have_hosts_of_their_own() {
        assert_eq!(resolve("api-ms-win-core-xstate-l1-1-0.dll"), Some("ntdll.dll"));
        assert_eq!(resolve("api-ms-win-core-xstate-l2-1-0.dll"), Some("kernelbase.dll"));
        assert_eq!(resolve("api-ms-win-core-registry-l1-1-0.dll"), Some("kernelbase.dll"));
        assert_eq!(resolve("api-ms-win-core-registry-l2-2-0.dll"), Some("advapi32.dll"));
    }

    #[test]
    fn other_names_are_not_contracts() {
        let long = "api-ms-win-core-file-".repeat(10);
        for name in [
            "",
            "kernel32.dll",
            "api-ms-win-",
            "api-ms-win-core-file.dll",
            "api-ms-win-core-file-l1.dll",
            "api-ms-win-core-file-1-2-0.dll",
            "api-ms-win-core-file-l-2-0.dll",
            "api-ms-win-core-file-l1-2-x.dll",
            "api-ms-win-core-nonsense-l1-1-0.dll",
            "ext-ms-win-core-file-l1-2-0.dll",
            "api-ms-win-core-f\u{fc}le-l1-1-0.dll",
            &long,
        ] {
            assert_eq!(resolve(name), None, "{name}");
        }
    }
}

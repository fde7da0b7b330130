//! Functions that a DLL of Windows exports though another one has them: the C library's part in ntdll and kernel32, and
//! primitives of bcrypt that ncrypt passes on.

use transom_sdk::catalog::{Forwarder, Names};

/// The forwarders of all built-in DLLs.
pub(crate) static FORWARDERS: &[Forwarder] = &[
    Forwarder { from: "kernel32.dll", to: "msvcrt.dll", names: Names::Listed(&["__C_specific_handler"]) },
    Forwarder { from: "ncrypt.dll", to: "bcrypt.dll", names: Names::Beginning("BCrypt") },
    Forwarder { from: "ntdll.dll", to: "msvcrt.dll", names: Names::Listed(&IN_NTDLL) },
];

/// The functions of the C library that ntdll exports. Sorted.
#[rustfmt::skip]
static IN_NTDLL: [&str; 173] = [
    "__C_specific_handler", "__isascii", "__iscsym", "__iscsymf", "__toascii", "_atoi64", "_errno",
    "_i64toa", "_i64toa_s", "_i64tow", "_i64tow_s", "_itoa", "_itoa_s", "_itow", "_itow_s", "_lfind",
    "_local_unwind", "_ltoa", "_ltoa_s", "_ltow", "_ltow_s", "_makepath_s", "_memccpy", "_memicmp",
    "_setjmp", "_setjmpex", "_snprintf", "_snprintf_s", "_snwprintf", "_snwprintf_s", "_splitpath",
    "_splitpath_s", "_strcmpi", "_stricmp", "_strlwr", "_strlwr_s", "_strnicmp", "_strupr", "_strupr_s",
    "_swprintf", "_ui64toa", "_ui64toa_s", "_ui64tow", "_ui64tow_s", "_ultoa", "_ultoa_s", "_ultow",
    "_ultow_s", "_vscprintf", "_vscwprintf", "_vsnprintf", "_vsnprintf_s", "_vsnwprintf", "_vsnwprintf_s",
    "_vswprintf", "_wcsicmp", "_wcslwr", "_wcslwr_s", "_wcsnicmp", "_wcstoi64", "_wcstoui64", "_wcsupr",
    "_wcsupr_s", "_wmakepath_s", "_wsplitpath_s", "_wtoi", "_wtoi64", "_wtol", "abs", "atan", "atan2",
    "atoi", "atol", "bsearch", "bsearch_s", "ceil", "cos", "fabs", "floor", "isalnum", "isalpha", "iscntrl",
    "isdigit", "isgraph", "islower", "isprint", "ispunct", "isspace", "isupper", "iswalnum", "iswalpha",
    "iswctype", "iswdigit", "iswgraph", "iswlower", "iswprint", "iswspace", "iswxdigit", "isxdigit", "labs",
    "log", "longjmp", "mbstowcs", "memchr", "memcmp", "memcpy", "memcpy_s", "memmove", "memmove_s",
    "memset", "pow", "qsort", "qsort_s", "sin", "sprintf", "sprintf_s", "sqrt", "sscanf", "sscanf_s",
    "strcat", "strcat_s", "strchr", "strcmp", "strcpy", "strcpy_s", "strcspn", "strlen", "strncat",
    "strncat_s", "strncmp", "strncpy", "strncpy_s", "strnlen", "strpbrk", "strrchr", "strspn", "strstr",
    "strtok_s", "strtol", "strtoul", "swprintf", "swprintf_s", "swscanf_s", "tan", "tolower", "toupper",
    "towlower", "towupper", "vsprintf", "vsprintf_s", "vswprintf_s", "wcscat", "wcscat_s", "wcschr",
    "wcscmp", "wcscpy", "wcscpy_s", "wcscspn", "wcslen", "wcsncat", "wcsncat_s", "wcsncmp", "wcsncpy",
    "wcsncpy_s", "wcsnlen", "wcspbrk", "wcsrchr", "wcsspn", "wcsstr", "wcstok_s", "wcstol", "wcstombs",
    "wcstoul",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CATALOG;

    #[test]
    fn forwarders_are_sorted_and_lead_to_functions() {
        for forwarder in FORWARDERS {
            let to = CATALOG.find(forwarder.to).expect(forwarder.to);
            let Names::Listed(names) = forwarder.names else { continue };
            assert!(names.is_sorted(), "{}", forwarder.from);
            for name in names {
                assert!(to.exports.find(name.as_bytes()).is_some(), "{} has no {name}", forwarder.to);
            }
        }
    }

    #[test]
    fn a_forwarded_function_is_found_in_the_dll_that_has_it() {
        let (dll, at) = CATALOG.export("ntdll.dll", b"wcslen").expect("ntdll!wcslen");
        assert_eq!((dll.name, dll.exports.name(at)), ("msvcrt.dll", "wcslen"));
        let (dll, _) = CATALOG.export("ncrypt.dll", b"BCryptHashData").expect("ncrypt!BCryptHashData");
        assert_eq!(dll.name, "bcrypt.dll");
        assert!(CATALOG.export("ntdll.dll", b"printf").is_none());
        assert!(CATALOG.export("kernelbase.dll", b"CreateFileW").is_some());
    }
}

//! Arguments of the C runtimes, for which there is no metadata: the shims' own parameters say what they are called, and that tells much.

use std::fmt::Write;

use transom_sdk::mem;

use super::plan::{Outcome, Plan};
use super::value::Values;

/// Microsoft's names of `errno` values that file functions and conversions give.
const ERRNO: [(i32, &str); 20] = [
    (1, "EPERM"),
    (2, "ENOENT"),
    (4, "EINTR"),
    (5, "EIO"),
    (7, "E2BIG"),
    (8, "ENOEXEC"),
    (9, "EBADF"),
    (10, "ECHILD"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (17, "EEXIST"),
    (18, "EXDEV"),
    (22, "EINVAL"),
    (24, "EMFILE"),
    (28, "ENOSPC"),
    (32, "EPIPE"),
    (33, "EDOM"),
    (34, "ERANGE"),
    (41, "ENOTEMPTY"),
];

/// `ENOENT (2)`.
pub(super) fn errno(out: &mut String, number: i32) {
    out.push_str(ERRNO.iter().find(|(n, _)| *n == number).map_or("errno", |(_, name)| name));
    let _ = write!(out, " ({number})");
}

/// Bits of the `flags` of `_open`, and of the `mode` of `_setmode`.
const OPEN: [(u32, &str); 12] = [
    (0x1, "_O_WRONLY"),
    (0x2, "_O_RDWR"),
    (0x8, "_O_APPEND"),
    (0x100, "_O_CREAT"),
    (0x200, "_O_TRUNC"),
    (0x400, "_O_EXCL"),
    (0x4000, "_O_TEXT"),
    (0x8000, "_O_BINARY"),
    (0x10, "_O_RANDOM"),
    (0x20, "_O_SEQUENTIAL"),
    (0x40, "_O_TEMPORARY"),
    (0x80, "_O_NOINHERIT"),
];

/// How `setvbuf` is to buffer.
const BUFFERING: [(u32, &str); 3] = [(0, "_IOFBF"), (4, "_IONBF"), (0x40, "_IOLBF")];

/// Microsoft's signals.
const SIGNALS: [(u32, &str); 7] = [
    (2, "SIGINT"),
    (4, "SIGILL"),
    (8, "SIGFPE"),
    (11, "SIGSEGV"),
    (15, "SIGTERM"),
    (21, "SIGBREAK"),
    (22, "SIGABRT"),
];

/// The name of a number that is one of a few.
fn named(names: &[(u32, &str)], number: u32) -> String {
    names
        .iter()
        .find(|(n, _)| *n == number)
        .map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

fn open_flags(bits: u32) -> String {
    let mut names: Vec<String> =
        OPEN.iter().filter(|(b, _)| bits & b != 0).map(|(_, n)| (*n).to_owned()).collect();
    if bits & 3 == 0 {
        names.insert(0, "_O_RDONLY".to_owned());
    }
    let rest = OPEN.iter().fold(bits, |left, (b, _)| left & !b);
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names.join("|")
}

/// Improves an argument that the shim printed by its type alone; `annotate` says what a stream refers to.
pub(super) fn argument(
    values: &Values<'_>,
    plan: &Plan,
    parameter: &str,
    out: &mut String,
    annotate: impl FnOnce(u64, &mut String),
) {
    if plan.outcome != Outcome::Errno {
        return;
    }
    let name = plan.name.trim_start_matches('_');
    if let Ok(bits) = out.parse::<u32>() {
        let opens = name.contains("open") && parameter == "flags";
        if opens {
            *out = open_flags(bits);
        } else if name == "setmode" && parameter == "mode" {
            *out = open_flags(bits).replace("_O_RDONLY|", "");
        } else if name == "setvbuf" && parameter == "mode" {
            *out = named(&BUFFERING, bits);
        } else if matches!(name, "signal" | "raise") && parameter == "number" {
            *out = named(&SIGNALS, bits);
        }
        return;
    }
    let address = out.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let Some(address) = address.filter(|a| *a >= 0x1_0000) else { return };
    if parameter == "stream" {
        annotate(address, out);
    } else if reads_text(name, parameter) {
        out.clear();
        values.string(out, address, name.starts_with('w') || name.contains("wcs"), None);
    }
}

/// Whether a pointer is to a string that the function reads.
fn reads_text(name: &str, parameter: &str) -> bool {
    let written =
        ["dest", "dst", "to", "buffer", "out", "end", "tail"].iter().any(|n| parameter.starts_with(n));
    let string =
        name.starts_with("wcs") || (name.starts_with("str") && !matches!(name, "strftime" | "strerror"));
    (string && !written) || matches!(parameter, "name" | "path" | "text" | "format")
}

/// Whether a function's pointer-sized result is a number.
pub(super) fn counts(name: &str) -> bool {
    ["len", "spn", "read", "write", "ftime", "size", "xfrm", "stowcs", "stombs", "rtowcs", "rtombs"]
        .iter()
        .any(|part| name.contains(part))
}

/// `stdin` and its like, by the descriptor in a `FILE` of the classic layout.
pub(super) fn standard_stream(address: u64, wide: bool) -> Option<&'static str> {
    match mem::read::<i32>(address + if wide { 28 } else { 16 }).ok()? {
        0 => Some("stdin"),
        1 => Some("stdout"),
        2 => Some("stderr"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_as_text() {
        assert!(reads_text("getenv", "name") && reads_text("strlen", "text") && reads_text("access", "path"));
        assert!(!reads_text("strcpy", "dest") && !reads_text("memcpy", "from"));
    }

    #[test]
    fn numbers_by_name() {
        assert_eq!(named(&SIGNALS, 2), "SIGINT");
        assert_eq!(named(&BUFFERING, 5), "5");
    }

    #[test]
    fn flags_of_open() {
        assert_eq!(open_flags(0x8000), "_O_RDONLY|_O_BINARY");
        assert_eq!(open_flags(0x8301), "_O_WRONLY|_O_CREAT|_O_TRUNC|_O_BINARY");
        assert_eq!(open_flags(0x1_0002), "_O_RDWR|0x10000");
    }
}

//! Words for the numbers of PE files: subsystems, flags, directories, resource types, languages, dates.

use windows_sys::Win32::System::Diagnostics::Debug as d;
use windows_sys::Win32::System::SystemServices as s;

/// A subsystem in words.
pub(super) fn subsystem(number: u16) -> String {
    let name = match number {
        d::IMAGE_SUBSYSTEM_WINDOWS_CUI => "console",
        d::IMAGE_SUBSYSTEM_WINDOWS_GUI => "windows (GUI)",
        d::IMAGE_SUBSYSTEM_NATIVE => "native (driver)",
        d::IMAGE_SUBSYSTEM_POSIX_CUI => "POSIX",
        d::IMAGE_SUBSYSTEM_EFI_APPLICATION => "EFI application",
        d::IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER => "EFI boot driver",
        d::IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER => "EFI run-time driver",
        other => return format!("number {other}"),
    };
    name.to_owned()
}

/// The flags of a word that have names, in order.
fn flags(word: u16, names: &[(u16, &'static str)]) -> Vec<&'static str> {
    names.iter().filter(|(bit, _)| word & bit != 0).map(|(_, name)| *name).collect()
}

/// `IMAGE_FILE_*` flags.
pub(super) fn characteristics(word: u16) -> Vec<&'static str> {
    flags(
        word,
        &[
            (d::IMAGE_FILE_RELOCS_STRIPPED, "RELOCS_STRIPPED"),
            (d::IMAGE_FILE_EXECUTABLE_IMAGE, "EXECUTABLE_IMAGE"),
            (d::IMAGE_FILE_LINE_NUMS_STRIPPED, "LINE_NUMS_STRIPPED"),
            (d::IMAGE_FILE_LOCAL_SYMS_STRIPPED, "LOCAL_SYMS_STRIPPED"),
            (d::IMAGE_FILE_LARGE_ADDRESS_AWARE, "LARGE_ADDRESS_AWARE"),
            (d::IMAGE_FILE_32BIT_MACHINE, "32BIT_MACHINE"),
            (d::IMAGE_FILE_DEBUG_STRIPPED, "DEBUG_STRIPPED"),
            (d::IMAGE_FILE_SYSTEM, "SYSTEM"),
            (d::IMAGE_FILE_DLL, "DLL"),
        ],
    )
}

/// `IMAGE_DLLCHARACTERISTICS_*` flags.
pub(super) fn dll_characteristics(word: u16) -> Vec<&'static str> {
    flags(
        word,
        &[
            (d::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, "HIGH_ENTROPY_VA"),
            (d::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
            (d::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY, "FORCE_INTEGRITY"),
            (d::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
            (d::IMAGE_DLLCHARACTERISTICS_NO_ISOLATION, "NO_ISOLATION"),
            (d::IMAGE_DLLCHARACTERISTICS_NO_SEH, "NO_SEH"),
            (d::IMAGE_DLLCHARACTERISTICS_NO_BIND, "NO_BIND"),
            (d::IMAGE_DLLCHARACTERISTICS_APPCONTAINER, "APPCONTAINER"),
            (d::IMAGE_DLLCHARACTERISTICS_GUARD_CF, "GUARD_CF"),
            (d::IMAGE_DLLCHARACTERISTICS_TERMINAL_SERVER_AWARE, "TERMINAL_SERVER_AWARE"),
        ],
    )
}

/// Names of the data directories, by index.
pub(super) const DIRECTORIES: [&str; 16] = [
    "export",
    "import",
    "resource",
    "exception",
    "security",
    "relocation",
    "debug",
    "architecture",
    "global pointer",
    "TLS",
    "load configuration",
    "bound import",
    "IAT",
    "delay import",
    "CLR",
    "reserved",
];

/// A predefined resource type.
pub(super) fn resource_type(id: u16) -> Option<&'static str> {
    const NAMES: [(u16, &str); 19] = [
        (object::pe::RT_CURSOR, "cursor"),
        (object::pe::RT_BITMAP, "bitmap"),
        (object::pe::RT_ICON, "icon"),
        (object::pe::RT_MENU, "menu"),
        (object::pe::RT_DIALOG, "dialog"),
        (object::pe::RT_STRING, "strings"),
        (object::pe::RT_FONTDIR, "font directory"),
        (object::pe::RT_FONT, "font"),
        (object::pe::RT_ACCELERATOR, "accelerators"),
        (object::pe::RT_RCDATA, "data"),
        (object::pe::RT_MESSAGETABLE, "messages"),
        (object::pe::RT_GROUP_CURSOR, "cursor group"),
        (object::pe::RT_GROUP_ICON, "icon group"),
        (object::pe::RT_VERSION, "version"),
        (object::pe::RT_DLGINCLUDE, "dialog include"),
        (object::pe::RT_PLUGPLAY, "plug and play"),
        (object::pe::RT_ANICURSOR, "animated cursor"),
        (object::pe::RT_HTML, "HTML"),
        (object::pe::RT_MANIFEST, "manifest"),
    ];
    NAMES.iter().find(|(number, _)| *number == id).map(|(_, name)| *name)
}

/// A debug directory entry's kind.
pub(super) fn debug_kind(kind: u32) -> String {
    let name = match kind {
        d::IMAGE_DEBUG_TYPE_COFF => "COFF",
        d::IMAGE_DEBUG_TYPE_CODEVIEW => "CodeView",
        d::IMAGE_DEBUG_TYPE_FPO => "FPO",
        d::IMAGE_DEBUG_TYPE_MISC => "MISC",
        d::IMAGE_DEBUG_TYPE_EXCEPTION => "EXCEPTION",
        d::IMAGE_DEBUG_TYPE_FIXUP => "FIXUP",
        s::IMAGE_DEBUG_TYPE_VC_FEATURE => "VC_FEATURE",
        s::IMAGE_DEBUG_TYPE_POGO => "POGO",
        s::IMAGE_DEBUG_TYPE_ILTCG => "ILTCG",
        s::IMAGE_DEBUG_TYPE_REPRO => "REPRO",
        s::IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS => "EX_DLLCHARACTERISTICS",
        other => return format!("type {other}"),
    };
    name.to_owned()
}

/// What the header's time stamp says, as a date in UTC; the number is a hash where builds are reproducible.
pub(super) fn date(stamp: u32) -> String {
    let days = i64::from(stamp / 86_400);
    let seconds = stamp % 86_400;
    // Civil date from a day number: years begin in March, so that the leap day comes last.
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(u32::MAX), "2106-02-07 06:28:15 UTC");
    }

    #[test]
    fn words() {
        assert_eq!(subsystem(3), "console");
        assert_eq!(resource_type(24), Some("manifest"));
        assert_eq!(characteristics(0x2002), ["EXECUTABLE_IMAGE", "DLL"]);
    }
}

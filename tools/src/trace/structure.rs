//! Structures in a trace: those that everybody knows in their own notation (times, addresses of the network, counted strings), small
//! ones by field, of others the fields that a reader looks for; all fields of all of them with `-x`.

use std::fmt::Write;
use std::mem::offset_of;

use transom_cpu::context::Arm64Context;
use transom_sdk::{Cx, Machine, mem};
use transom_sigs::{Primitive, Struct, Type, TypeId};

use super::address;
use super::sets::{Set, names};
use super::time;
use super::value::{Values, enumeration, low, low32, pointer};

/// A structure with at most so many fields is printed in full without being asked for.
const SMALL: usize = 3;
/// Structures inside structures.
const DEPTH: u32 = 4;

/// Structures whose address is all that counts: the system's own, opaque to the program.
const OPAQUE: [&str; 7] = [
    "CRITICAL_SECTION",
    "RTL_CRITICAL_SECTION",
    "SRWLOCK",
    "RTL_SRWLOCK",
    "CONDITION_VARIABLE",
    "SLIST_HEADER",
    "SYNCHRONIZATION_BARRIER",
];

/// Fields that a reader looks for in structures of many fields.
const HEADLINES: [(&str, &[&str]); 31] = [
    ("FILE_FULL_DIR_INFO", &["FileAttributes", "EndOfFile", "FileName"]),
    ("FILE_ID_BOTH_DIR_INFO", &["FileAttributes", "EndOfFile", "FileName"]),
    ("FILE_BOTH_DIR_INFORMATION", &["FileAttributes", "EndOfFile", "FileName"]),
    ("WIN32_FIND_DATA", &["dwFileAttributes", "nFileSizeLow", "cFileName"]),
    ("WIN32_FILE_ATTRIBUTE_DATA", &["dwFileAttributes", "ftLastWriteTime", "nFileSizeLow"]),
    (
        "BY_HANDLE_FILE_INFORMATION",
        &["dwFileAttributes", "ftLastWriteTime", "nFileSizeLow", "nNumberOfLinks"],
    ),
    ("OSVERSIONINFO", &["dwMajorVersion", "dwMinorVersion", "dwBuildNumber"]),
    ("SYSTEM_INFO", &["dwPageSize", "dwNumberOfProcessors"]),
    ("MEMORYSTATUSEX", &["dwMemoryLoad", "ullTotalPhys", "ullAvailPhys"]),
    ("MEMORY_BASIC_INFORMATION", &["BaseAddress", "RegionSize", "State", "Protect"]),
    ("STARTUPINFO", &["dwFlags", "hStdInput", "hStdOutput", "hStdError"]),
    ("PROCESS_INFORMATION", &["hProcess", "hThread", "dwProcessId", "dwThreadId"]),
    ("OVERLAPPED", &["Offset", "OffsetHigh", "hEvent"]),
    ("CONSOLE_SCREEN_BUFFER_INFO", &["dwSize", "dwCursorPosition"]),
    ("CPINFO", &["MaxCharSize", "CodePageName"]),
    ("WSADATA", &["wVersion", "szDescription"]),
    ("ADDRINFO", &["ai_family", "ai_socktype", "ai_addr"]),
    ("addrinfoex", &["ai_family", "ai_socktype", "ai_addr"]),
    ("FILE_BASIC_INFO", &["LastWriteTime", "FileAttributes"]),
    ("FILE_STANDARD_INFO", &["EndOfFile", "NumberOfLinks", "Directory"]),
    ("FILE_NETWORK_OPEN_INFORMATION", &["LastWriteTime", "EndOfFile", "FileAttributes"]),
    ("FILE_ALL_INFORMATION", &["BasicInformation", "StandardInformation"]),
    ("FILE_STAT_BASIC_INFORMATION", &["LastWriteTime", "EndOfFile", "FileAttributes"]),
    ("EXCEPTION_RECORD", &["ExceptionCode", "ExceptionFlags", "ExceptionAddress"]),
    ("CONTEXT", &["ContextFlags", "Rip", "Rsp", "Eip", "Esp"]),
    ("PROCESSENTRY32", &["th32ProcessID", "szExeFile"]),
    ("MODULEENTRY32", &["szModule", "modBaseAddr"]),
    ("THREADENTRY32", &["th32ThreadID", "th32OwnerProcessID"]),
    ("TIME_ZONE_INFORMATION", &["Bias", "StandardName"]),
    ("DYNAMIC_TIME_ZONE_INFORMATION", &["Bias", "StandardName", "TimeZoneKeyName"]),
    ("JOBOBJECT_BASIC_LIMIT_INFORMATION", &["LimitFlags", "ActiveProcessLimit"]),
];

/// The headline fields of a structure; its A and W forms and longer versions have the same.
fn headline(name: &str) -> Option<&'static [&'static str]> {
    let exact = HEADLINES.iter().find(|(n, _)| *n == name);
    let base =
        name.strip_suffix(['A', 'W']).unwrap_or(name).trim_end_matches("EX").trim_start_matches("RTL_");
    exact.or_else(|| HEADLINES.iter().find(|(n, _)| *n == base)).map(|(_, fields)| *fields)
}

fn is_arm64() -> bool {
    Cx::with_current(|cx| cx.machine() == Machine::Arm64).unwrap_or(false)
}

impl Values<'_> {
    /// The structure at an address.
    pub(super) fn structure(&self, out: &mut String, s: &Struct, addr: u64, depth: u32) {
        if OPAQUE.contains(&s.name) {
            return pointer(out, addr);
        }
        if self.known(out, s.name, addr) {
            return;
        }
        let shown = self.table.structure(s, self.style.wide);
        if self.style.expand || shown.fields.len() <= SMALL || s.name == "OBJECT_ATTRIBUTES" {
            if depth >= DEPTH {
                let _ = write!(out, "&{}{{...}}", s.name);
                return;
            }
            out.push('{');
            self.fields(out, s, addr, depth, &mut true);
            out.push('}');
            return;
        }
        match headline(s.name).filter(|_| depth < DEPTH) {
            Some(names) => self.some_fields(out, s, addr, depth, names),
            None => {
                let _ = write!(out, "&{}{{...}}", s.name);
            }
        }
    }

    /// Structures with a notation of their own.
    fn known(&self, out: &mut String, name: &str, addr: u64) -> bool {
        match name {
            "UNICODE_STRING" => self.counted(out, addr, true),
            "STRING" | "ANSI_STRING" => self.counted(out, addr, false),
            "FILETIME" => match mem::read::<u64>(addr) {
                Ok(ticks) => time::filetime(out, ticks),
                Err(_) => return false,
            },
            "SYSTEMTIME" => match mem::read::<[u16; 8]>(addr) {
                Ok(parts) => time::system_time(out, parts),
                Err(_) => return false,
            },
            "LARGE_INTEGER" | "ULARGE_INTEGER" => match mem::read::<i64>(addr) {
                Ok(value) => {
                    let _ = write!(out, "{value}");
                }
                Err(_) => return false,
            },
            // The metadata's is that of x86-64, or of x86.
            "CONTEXT" if is_arm64() => return self.arm64_context(out, addr),
            "IO_STATUS_BLOCK" => self.io_status(out, addr),
            "SOCKADDR" | "SOCKADDR_IN" | "SOCKADDR_IN6" | "SOCKADDR_STORAGE" | "SOCKADDR_INET" => {
                return address::socket(out, addr);
            }
            "IN_ADDR" => return address::internet(out, addr),
            "VARIANT" | "PROPVARIANT" => self.variant(out, addr),
            _ => return false,
        }
        true
    }

    /// Fields with their names; those of anonymous members as if they were the structure's own.
    fn fields(&self, out: &mut String, s: &Struct, addr: u64, depth: u32, first: &mut bool) {
        for (name, ty, at) in self.table.fields(s, self.style.wide) {
            if name.starts_with("Anonymous")
                && let Type::Struct(inner) = self.table.ty(ty)
            {
                self.fields(out, inner, addr + at, depth, first);
            } else {
                self.field(out, s, name, ty, addr + at, depth, first);
            }
            // The others say the same in another way.
            if s.union {
                break;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a field, where it is, and where it goes")]
    fn field(
        &self,
        out: &mut String,
        s: &Struct,
        name: &str,
        ty: TypeId,
        addr: u64,
        depth: u32,
        first: &mut bool,
    ) {
        let _ = write!(out, "{}{name}=", if std::mem::take(first) { "" } else { ", " });
        let plain = matches!(self.table.ty(ty), Type::Primitive(Primitive::U32 | Primitive::I64));
        match self.table.ty(ty) {
            Type::Pointer(to) if s.name == "OBJECT_ATTRIBUTES" || name == "ai_addr" => {
                let target = mem::read::<u64>(addr).unwrap_or(0);
                self.pointee(out, *to, low(target, if self.style.wide { 8 } else { 4 }), None, depth + 1);
            }
            _ if plain && name.ends_with("FileAttributes") => {
                let attributes = self.table.named("FILE_FLAGS_AND_ATTRIBUTES").unwrap_or(ty);
                self.at(out, attributes, addr, depth + 1);
            }
            _ if plain && name.ends_with("Time") => {
                if let Ok(ticks) = mem::read::<u64>(addr) {
                    time::filetime(out, ticks);
                }
            }
            // As long as another field says, which no type can express.
            _ if name == "FileName" && self.find_field(s, "FileNameLength").is_some() => {
                let (_, length) = self.find_field(s, "FileNameLength").unwrap_or((ty, 0));
                let start = addr - self.find_field(s, name).map_or(0, |(_, at)| at);
                let bytes = mem::read::<u32>(start + length).unwrap_or(0);
                self.string(out, addr, true, usize::try_from(bytes / 2).ok());
            }
            _ if plain && matches!(name, "Eip" | "Esp") => pointer(out, self.word(addr)),
            _ if matches!(name, "ai_family" | "ai_socktype") => {
                let set = if name == "ai_family" { Set::AddressFamily } else { Set::SocketType };
                enumeration(out, &names(set), mem::read::<u32>(addr).unwrap_or(0).into(), 4, "");
            }
            _ if name == "wVersion" => match mem::read::<[u8; 2]>(addr) {
                Ok([major, minor]) => {
                    let _ = write!(out, "{major}.{minor}");
                }
                Err(_) => out.push('?'),
            },
            _ => self.at(out, ty, addr, depth + 1),
        }
    }

    /// These fields of a structure, as far as it has them.
    fn some_fields(&self, out: &mut String, s: &Struct, addr: u64, depth: u32, names: &[&str]) {
        out.push('{');
        let mut first = true;
        for name in names {
            if let Some((ty, at)) = self.find_field(s, name) {
                self.field(out, s, name, ty, addr + at, depth, &mut first);
            }
        }
        out.push_str(", ...}");
    }

    /// A field's type and offset, also if it belongs to an anonymous member.
    fn find_field(&self, s: &Struct, wanted: &str) -> Option<(TypeId, u64)> {
        self.table.fields(s, self.style.wide).find_map(|(name, ty, at)| {
            if name == wanted {
                return Some((ty, at));
            }
            match self.table.ty(ty) {
                Type::Struct(inner) if name.starts_with("Anonymous") => {
                    self.find_field(inner, wanted).map(|(ty, within)| (ty, at + within))
                }
                _ => None,
            }
        })
    }

    /// A UNICODE_STRING or STRING.
    fn counted(&self, out: &mut String, addr: u64, wide: bool) {
        let len = mem::read::<u16>(addr).unwrap_or(0);
        let text = self.word(addr + if self.style.wide { 8 } else { 4 });
        let units = usize::from(if wide { len / 2 } else { len });
        if text == 0 || units == 0 {
            out.push_str(if text == 0 { "NULL" } else { "\"\"" });
        } else {
            self.string(out, text, wide, Some(units));
        }
    }

    /// A word of the guest's width in memory.
    fn word(&self, addr: u64) -> u64 {
        if self.style.wide {
            mem::read::<u64>(addr).unwrap_or(0)
        } else {
            mem::read::<u32>(addr).unwrap_or(0).into()
        }
    }

    /// How a request to the system ended: the status, and how many bytes went over.
    fn io_status(&self, out: &mut String, addr: u64) {
        out.push('{');
        match self.table.typedef("NTSTATUS") {
            Some(def) => self.typedef(out, def, mem::read::<u32>(addr).unwrap_or(0).into(), 0),
            None => out.push('?'),
        }
        let information = self.word(addr + if self.style.wide { 8 } else { 4 });
        let _ = write!(out, ", {information}}}");
    }

    /// The CONTEXT of an ARM64 thread; false if it cannot be read.
    fn arm64_context(&self, out: &mut String, addr: u64) -> bool {
        let register = |offset: usize| mem::read::<u64>(addr + offset as u64);
        let (Ok(flags), Ok(pc), Ok(sp)) = (
            mem::read::<u32>(addr),
            register(offset_of!(Arm64Context, pc)),
            register(offset_of!(Arm64Context, sp)),
        ) else {
            return false;
        };
        out.push_str("{ContextFlags=");
        enumeration(out, &names(Set::Arm64Context), flags.into(), 4, "");
        let _ = write!(out, ", Pc={pc:#x}, Sp={sp:#x}, ...}}");
        true
    }

    /// A VARIANT: its type and its value, if that fits a line.
    fn variant(&self, out: &mut String, addr: u64) {
        let kind = mem::read::<u16>(addr).unwrap_or(0);
        let value = mem::read::<u64>(addr + 8).unwrap_or(0);
        let name = self
            .table
            .enumeration("VARENUM")
            .and_then(|e| e.members.iter().find(|m| m.value == i64::from(kind)).map(|m| m.name));
        match name {
            Some(name) => out.push_str(name),
            None => {
                let _ = write!(out, "VARTYPE {kind:#x}");
            }
        }
        let _ = match name.unwrap_or_default() {
            "VT_BSTR" | "VT_LPWSTR" => {
                out.push(' ');
                return self.string(out, low(value, if self.style.wide { 8 } else { 4 }), true, None);
            }
            "VT_BOOL" => write!(out, " {}", low(value, 2) != 0),
            "VT_I1" | "VT_I2" | "VT_I4" | "VT_INT" => write!(out, " {}", low32(value).cast_signed()),
            "VT_UI1" => write!(out, " {}", low(value, 1)),
            "VT_UI2" => write!(out, " {}", low(value, 2)),
            "VT_UI4" | "VT_UINT" => write!(out, " {}", low32(value)),
            "VT_I8" => write!(out, " {}", value.cast_signed()),
            "VT_UI8" => write!(out, " {value}"),
            "VT_R8" => write!(out, " {:?}", f64::from_bits(value)),
            "VT_FILETIME" => {
                out.push(' ');
                return time::filetime(out, value);
            }
            "VT_ERROR" => write!(out, " {:#x}", low32(value)),
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_structure_share_their_headline() {
        assert!(headline("WIN32_FIND_DATAW").is_some());
        assert_eq!(headline("WIN32_FIND_DATAW"), headline("WIN32_FIND_DATAA"));
        assert_eq!(headline("OSVERSIONINFOEXW"), headline("OSVERSIONINFOA"));
        assert!(headline("OSVERSIONINFOW").is_some() && headline("CPINFOEXW").is_some());
        assert_eq!(headline("NOTHING"), None);
    }
}

//! Who built a file: the Rich header and the linker's version in the headers, and signs that compilers, runtimes and packers leave.
//!
//! These are hints. Signs are looked for in the raw bytes, each once; none is trusted for anything but this list.

use std::fmt;

use memchr::memmem;
use transom_loader::pe::Pe;

/// One entry of the Rich header: which tool of which build contributed how many objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RichEntry {
    /// Product number: which tool.
    pub(super) product: u16,
    /// Its build.
    pub(super) build: u16,
    /// Objects, or imports.
    pub(super) count: u32,
}

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Toolchain {
    /// Hints in words, the surest first.
    pub(super) hints: Vec<String>,
    /// Linker version of the optional header.
    pub(super) linker: (u8, u8),
    /// The Rich header, in the file's order.
    pub(super) rich: Vec<RichEntry>,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// Decodes the Rich header, which Microsoft's linker puts between the DOS program and the NT headers; empty if there is none.
fn rich(stub: &[u8]) -> Vec<RichEntry> {
    const DANS: u32 = u32::from_le_bytes(*b"DanS");
    let Some(end) = memmem::rfind(stub, b"Rich") else { return Vec::new() };
    let Some(key) = u32_at(stub, end + 4) else { return Vec::new() };
    let mut entries = Vec::new();
    let mut at = end;
    while let Some(next) = at.checked_sub(8) {
        let (Some(id), Some(count)) = (u32_at(stub, next), u32_at(stub, next + 4)) else { break };
        let (id, count) = (id ^ key, count ^ key);
        if id == DANS {
            entries.reverse();
            return entries;
        }
        // The three words after the mark are padding: zero once decoded.
        if (id, count) == (0, 0) && u32_at(stub, next.wrapping_sub(8)).is_some_and(|w| w ^ key == DANS) {
            at = next;
            continue;
        }
        let [product, build] = [id >> 16, id & 0xFFFF].map(|half| u16::try_from(half).unwrap_or_default());
        entries.push(RichEntry { product, build, count });
        at = next;
    }
    // Without its mark it is something else.
    Vec::new()
}

/// Visual Studio by the linker's version.
fn visual_studio((major, minor): (u8, u8)) -> Option<&'static str> {
    Some(match (major, minor) {
        (6, _) => "Visual C++ 6.0",
        (7, 0) => "Visual Studio .NET 2002",
        (7, _) => "Visual Studio .NET 2003",
        (8, _) => "Visual Studio 2005",
        (9, _) => "Visual Studio 2008",
        (10, _) => "Visual Studio 2010",
        (11, _) => "Visual Studio 2012",
        (12, _) => "Visual Studio 2013",
        (14, 0..10) => "Visual Studio 2015",
        (14, 10..20) => "Visual Studio 2017",
        (14, 20..30) => "Visual Studio 2019",
        (14, 30..50) => "Visual Studio 2022",
        (14, _) => "Visual Studio 2026",
        _ => return None,
    })
}

/// A mark in a file's bytes, and what it is a sign of.
struct Sign {
    marks: &'static [&'static [u8]],
    what: &'static str,
}

/// Signs of languages, runtimes and packers. Any of the marks will do.
const SIGNS: &[Sign] = &[
    Sign {
        marks: &[b"MEI\x0c\x0b\x0a\x0b\x0e"],
        what: "PyInstaller bundle: unpacks a Python program and runs it",
    },
    Sign { marks: &[b"UPX!"], what: "packed with UPX: unpacks itself when it starts" },
    Sign { marks: &[b"\xff Go buildinf:", b"Go build ID: \""], what: "Go" },
    Sign {
        marks: &[b"/rustc/", b"library\\std\\src\\panicking.rs", b"library/std/src/panicking.rs"],
        what: "Rust",
    },
    Sign {
        marks: &[b"\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32"],
        what: ".NET single-file bundle (apphost)",
    },
    Sign { marks: &[b"DotNetRuntimeDebugHeader"], what: ".NET, compiled ahead of time" },
    Sign {
        marks: &[b"SOFTWARE\\Borland\\Delphi", b"Software\\Embarcadero\\Locales", b"Embarcadero Delphi"],
        what: "Delphi",
    },
    Sign {
        marks: &[b"Borland C++ - Copyright", b"Embarcadero RAD Studio"],
        what: "Borland (Embarcadero) C++",
    },
    Sign { marks: &[b"FPC 2.", b"FPC 3."], what: "Free Pascal" },
    Sign {
        marks: &[b"zig-cache", b"/lib/std/start.zig", b"\\lib\\std\\start.zig", b"attempt to unwrap error: "],
        what: "Zig",
    },
    Sign {
        marks: &[b"GCC: (", b"Mingw-w64 runtime failure", b"Mingw runtime failure"],
        what: "MinGW (GCC or Clang)",
    },
    Sign { marks: &[b"cygwin1.dll"], what: "Cygwin: needs cygwin1.dll" },
    Sign { marks: &[b"msys-2.0.dll"], what: "MSYS2: needs msys-2.0.dll" },
    Sign { marks: &[b"Open Watcom"], what: "Open Watcom" },
    Sign { marks: &[b"stg_ap_0_fast", b"base:GHC."], what: "Haskell (GHC)" },
    Sign { marks: &[b"caml_startup"], what: "OCaml" },
    Sign { marks: &[b"fatal.nim", b"NimMain"], what: "Nim" },
    Sign { marks: &[b"_d_run_main", b"core.exception"], what: "D" },
    Sign { marks: &[b"Nullsoft.NSIS", b"NullsoftInst"], what: "NSIS installer" },
    Sign { marks: &[b"Inno Setup Setup Data"], what: "Inno Setup installer" },
    Sign { marks: &[b"node_api_module_register", b"node::Start"], what: "Node.js" },
    Sign { marks: &[b"cx_Freeze"], what: "cx_Freeze bundle" },
    Sign { marks: &[b"NUITKA_"], what: "Nuitka (compiled Python)" },
];

/// Looks for signs of how a file was made.
pub(super) fn toolchain(bytes: &[u8], pe: &Pe<'_>) -> Toolchain {
    let headers = pe.headers();
    let nt = headers.nt_headers as usize;
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let linker = (byte(nt + 26), byte(nt + 27));
    let rich = rich(bytes.get(..nt).unwrap_or_default());
    let mut hints = Vec::new();
    let section = |name: &[u8]| headers.sections.iter().any(|s| s.name.bytes() == name);
    for sign in SIGNS {
        if sign.marks.iter().any(|mark| memmem::find(bytes, mark).is_some()) {
            hints.push(sign.what.to_owned());
        }
    }
    if section(b"UPX0") && !hints.iter().any(|h| h.contains("UPX")) {
        hints.push("packed with UPX: unpacks itself when it starts".to_owned());
    }
    if !rich.is_empty() {
        let version = visual_studio(linker).map_or_else(String::new, |name| format!(" ({name})"));
        hints.push(format!("Microsoft linker {}.{}{version}", linker.0, linker.1));
    } else if linker == (3, 0) && !hints.iter().any(|h| h == "Go") {
        hints.push("Go's linker".to_owned());
    } else if linker == (14, 0) {
        hints.push("LLVM linker (lld)".to_owned());
    } else if linker.0 == 2 && linker.1 >= 10 {
        // Delphi's says 2.25, too.
        hints.push(format!("GNU linker {}.{}", linker.0, linker.1));
    }
    Toolchain { hints, linker, rich }
}

impl fmt::Display for RichEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "product {:#06x} build {} x{}", self.product, self.build, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stub with an encoded Rich header.
    fn stub(entries: &[(u32, u32)], key: u32) -> Vec<u8> {
        let mut words = vec![u32::from_le_bytes(*b"DanS"), 0, 0, 0];
        words.extend(entries.iter().flat_map(|(id, count)| [*id, *count]));
        let mut out: Vec<u8> = vec![0x90; 64];
        out.extend(words.iter().flat_map(|w| (w ^ key).to_le_bytes()));
        out.extend(b"Rich");
        out.extend(key.to_le_bytes());
        out
    }

    #[test]
    fn rich_headers_are_decoded() {
        let entries = rich(&stub(&[(0x0105_7086, 3), (0x0001_0000, 99)], 0x1234_5678));
        let expected = [
            RichEntry { product: 0x105, build: 0x7086, count: 3 },
            RichEntry { product: 1, build: 0, count: 99 },
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn damaged_rich_headers_are_none() {
        let good = stub(&[(0x0105_7086, 3)], 0x1234_5678);
        assert!(rich(&good[68..]).is_empty(), "without its beginning");
        assert!(rich(&good[..good.len() - 5]).is_empty(), "without its key");
        assert!(rich(b"Rich").is_empty() && rich(&[]).is_empty());
    }

    #[test]
    fn linkers() {
        assert_eq!(visual_studio((14, 29)), Some("Visual Studio 2019"));
        assert_eq!(visual_studio((2, 40)), None);
    }
}

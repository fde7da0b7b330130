//! The files of built-in programs: `cmd.exe` and its like in `C:\Windows\System32`.
//!
//! Programs look for them, so they are files like any other: small, valid Windows programs that carry a mark with the name of the
//! built-in program. Whoever starts Transom on such a file gets the built-in program instead (see the `transom` command). The
//! files come into being with drive C: ([`super::drives`]).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use windows_sys::Win32::System::Diagnostics::Debug as d;
use windows_sys::Win32::System::SystemInformation::IMAGE_FILE_MACHINE_AMD64;
use windows_sys::Win32::System::SystemServices::{
    IMAGE_DOS_SIGNATURE, IMAGE_NT_SIGNATURE, IMAGE_NUMBEROF_DIRECTORY_ENTRIES,
};

/// Names of the built-in programs, without extension. New ones go last: only the last file is looked for.
pub const PROGRAMS: [&str; 9] =
    ["cmd", "find", "findstr", "timeout", "where", "xcopy", "more", "sort", "robocopy"];

/// The folders of `C:` that hold their files.
pub(super) const FOLDERS: [&str; 2] = ["Windows/System32", "Windows/SysWOW64"];

/// What stands behind the DOS header, before the name.
const MARK: &[u8] = b"Transom built-in program: ";
/// Where it stands.
const MARK_AT: usize = 0x40;
/// Where the headers begin; between the two there is room for a name.
const HEADERS_AT: usize = 0x80;
/// Alignment in the file, and the size of the headers.
const FILE_ALIGNMENT: u32 = 0x200;
/// Alignment in memory, and the address of the code.
const SECTION_ALIGNMENT: u32 = 0x1000;

/// The file of a built-in program: a console program for x86-64 that elsewhere does nothing.
fn image(name: &str) -> Vec<u8> {
    let mut out = vec![0; HEADERS_AT];
    out[..2].copy_from_slice(&IMAGE_DOS_SIGNATURE.to_le_bytes());
    out[0x3C] = 0x80;
    out[MARK_AT..MARK_AT + MARK.len()].copy_from_slice(MARK);
    out[MARK_AT + MARK.len()..][..name.len()].copy_from_slice(name.as_bytes());
    let characteristics = d::IMAGE_FILE_EXECUTABLE_IMAGE | d::IMAGE_FILE_LARGE_ADDRESS_AWARE;
    let word = |out: &mut Vec<u8>, n: u16| out.extend(n.to_le_bytes());
    let long = |out: &mut Vec<u8>, n: u32| out.extend(n.to_le_bytes());
    // IMAGE_FILE_HEADER: one section, no symbols, an optional header of 0xF0 bytes.
    long(&mut out, IMAGE_NT_SIGNATURE);
    for n in [IMAGE_FILE_MACHINE_AMD64, 1, 0, 0, 0, 0, 0, 0, 0xF0, characteristics] {
        word(&mut out, n);
    }
    // IMAGE_OPTIONAL_HEADER64: sizes, the entry at the start of the code, the image base.
    word(&mut out, d::IMAGE_NT_OPTIONAL_HDR64_MAGIC);
    word(&mut out, 0);
    for n in [FILE_ALIGNMENT, 0, 0, SECTION_ALIGNMENT, SECTION_ALIGNMENT, 0x4000_0000, 1] {
        long(&mut out, n);
    }
    long(&mut out, SECTION_ALIGNMENT);
    long(&mut out, FILE_ALIGNMENT);
    // Versions of system, image and subsystem.
    for n in [6, 0, 0, 0, 6, 0] {
        word(&mut out, n);
    }
    for n in [0, 2 * SECTION_ALIGNMENT, FILE_ALIGNMENT, 0] {
        long(&mut out, n);
    }
    word(&mut out, d::IMAGE_SUBSYSTEM_WINDOWS_CUI);
    word(&mut out, d::IMAGE_DLLCHARACTERISTICS_NX_COMPAT);
    for n in [0x10_0000u64, 0x1000, 0x10_0000, 0x1000] {
        out.extend(n.to_le_bytes());
    }
    long(&mut out, 0);
    long(&mut out, IMAGE_NUMBEROF_DIRECTORY_ENTRIES);
    out.resize(HEADERS_AT + 4 + 20 + 0xF0, 0);
    // IMAGE_SECTION_HEADER.
    out.extend(b".text\0\0\0");
    for n in [FILE_ALIGNMENT, SECTION_ALIGNMENT, FILE_ALIGNMENT, FILE_ALIGNMENT, 0, 0, 0] {
        long(&mut out, n);
    }
    long(&mut out, d::IMAGE_SCN_CNT_CODE | d::IMAGE_SCN_MEM_EXECUTE | d::IMAGE_SCN_MEM_READ);
    out.resize(FILE_ALIGNMENT as usize, 0);
    // xor eax, eax; ret
    out.extend([0x33, 0xC0, 0xC3]);
    out.resize(2 * FILE_ALIGNMENT as usize, 0);
    out
}

/// The name of the built-in program whose file this is.
#[must_use]
pub fn built_in(file: &File) -> Option<&'static str> {
    let mut head = [0; HEADERS_AT];
    file.read_exact_at(&mut head, 0).ok()?;
    let rest = head.starts_with(b"MZ").then(|| head[MARK_AT..].strip_prefix(MARK))??;
    let name = &rest[..rest.iter().position(|b| *b == 0)?];
    PROGRAMS.into_iter().find(|p| p.as_bytes() == name)
}

/// Whether all the files are there, also on a drive that an older Transom made: the last one is made last.
pub(super) fn are_there(root: &Path) -> bool {
    let (folder, program) = (FOLDERS[FOLDERS.len() - 1], PROGRAMS[PROGRAMS.len() - 1]);
    root.join(folder).join(program).with_extension("exe").is_file()
}

/// Makes the files. Other processes may do the same at this moment: a file appears whole or not at all.
///
/// # Errors
/// What Linux says.
pub(super) fn create(root: &Path) -> io::Result<()> {
    for folder in FOLDERS {
        for name in PROGRAMS {
            let path = root.join(folder).join(name).with_extension("exe");
            let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
            std::fs::write(&fresh, image(name))?;
            std::fs::rename(&fresh, &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_which_program_they_are() {
        let scratch = crate::scratch::dir("programs");
        for folder in FOLDERS {
            std::fs::create_dir_all(scratch.join(folder)).unwrap();
        }
        assert!(!are_there(&scratch));
        create(&scratch).unwrap();
        assert!(are_there(&scratch));
        for name in PROGRAMS {
            let file = File::open(scratch.join(FOLDERS[0]).join(name).with_extension("exe")).unwrap();
            assert_eq!(built_in(&file), Some(name));
        }
        let other = scratch.join("other");
        std::fs::write(&other, [b'M', b'Z'].repeat(100)).unwrap();
        assert_eq!(built_in(&File::open(&other).unwrap()), None);
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}

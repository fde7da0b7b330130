//! Volumes and drives.

use transom_sdk::{Cx, Handle, NameStr, Out, TextOut, WStr, Win32, shim};
use transom_syscalls::file::Volume;

fn volume(cx: &Cx, root: Option<WStr>) -> Win32<Volume> {
    let root = match root {
        Some(root) => root.get()?,
        None => "\\".encode_utf16().collect(),
    };
    Ok(cx.files().volume(&root)?)
}

/// Determines whether a disk drive is a removable, fixed, CD-ROM, RAM disk, or network drive.
#[shim(kernel32, ansi)]
fn GetDriveTypeW(cx: &Cx, root: Option<WStr>) -> Win32<u32> {
    let root = match root {
        Some(root) => root.get()?,
        None => "\\".encode_utf16().collect(),
    };
    Ok(cx.files().drive_type(&root))
}

/// Retrieves a bitmask representing the currently available disk drives.
#[shim(kernel32)]
fn GetLogicalDrives(cx: &Cx) -> u32 {
    cx.files().names.drive_mask()
}

/// Fills a buffer with strings that specify valid drives in the system.
#[shim(kernel32)]
fn GetLogicalDriveStringsW(cx: &Cx, size: u32, out: TextOut) -> Win32<u32> {
    let mask = cx.files().names.drive_mask();
    let letters = (b'A'..=b'Z').enumerate().filter(|(i, _)| mask & 1 << i != 0);
    // Each string with its terminator; the list's own is the one that `put` adds.
    let text: Vec<u16> =
        letters.flat_map(|(_, l)| [u16::from(l), u16::from(b':'), u16::from(b'\\'), 0]).collect();
    Ok(out.put(&text, size)?)
}

/// Retrieves information about the file system and volume associated with the specified root directory.
#[shim(kernel32, ansi)]
fn GetVolumeInformationW(
    cx: &Cx,
    root: Option<WStr>,
    name: TextOut,
    name_size: u32,
    serial: Option<Out<u32>>,
    longest: Option<Out<u32>>,
    flags: Option<Out<u32>>,
    system: TextOut,
    system_size: u32,
) -> Win32<()> {
    let volume = volume(cx, root)?;
    tell(cx, &volume, (name, name_size), [serial, longest, flags], (system, system_size))
}

/// Retrieves information about the file system and volume associated with the specified file.
#[shim(kernel32)]
fn GetVolumeInformationByHandleW(
    cx: &Cx,
    file: Handle,
    name: TextOut,
    name_size: u32,
    serial: Option<Out<u32>>,
    longest: Option<Out<u32>>,
    flags: Option<Out<u32>>,
    system: TextOut,
    system_size: u32,
) -> Win32<()> {
    let volume = cx.file(file)?.volume()?;
    tell(cx, &volume, (name, name_size), [serial, longest, flags], (system, system_size))
}

fn tell(
    cx: &Cx,
    volume: &Volume,
    (name, name_size): (TextOut, u32),
    numbers: [Option<Out<u32>>; 3],
    (system, system_size): (TextOut, u32),
) -> Win32<()> {
    for (out, value) in numbers.into_iter().zip([volume.serial, volume.longest_name, volume.flags]) {
        if let Some(out) = out {
            out.write(cx, value)?;
        }
    }
    for (out, size, text) in [(name, name_size, &volume.label), (system, system_size, &volume.file_system)] {
        if !out.is_null() {
            out.put(&text.encode_utf16().collect::<Vec<_>>(), size)?;
        }
    }
    Ok(())
}

/// Retrieves information about the amount of space that is available on a disk volume.
#[shim(kernel32, ansi)]
fn GetDiskFreeSpaceExW(
    cx: &Cx,
    root: Option<WStr>,
    available: Option<Out<u64>>,
    total: Option<Out<u64>>,
    free: Option<Out<u64>>,
) -> Win32<()> {
    let v = volume(cx, root)?;
    for (out, units) in [(available, v.available_units), (total, v.total_units), (free, v.free_units)] {
        if let Some(out) = out {
            out.write(cx, units.saturating_mul(v.unit.into()))?;
        }
    }
    Ok(())
}

/// Retrieves information about the specified disk, including the amount of free space.
#[shim(kernel32, ansi)]
fn GetDiskFreeSpaceW(
    cx: &Cx,
    root: Option<WStr>,
    sectors_per_cluster: Option<Out<u32>>,
    bytes_per_sector: Option<Out<u32>>,
    free: Option<Out<u32>>,
    total: Option<Out<u32>>,
) -> Win32<()> {
    const SECTOR: u32 = 512;
    let v = volume(cx, root)?;
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    for (out, value) in [
        (sectors_per_cluster, v.unit / SECTOR),
        (bytes_per_sector, SECTOR),
        (free, small(v.available_units)),
        (total, small(v.total_units)),
    ] {
        if let Some(out) = out {
            out.write(cx, value)?;
        }
    }
    Ok(())
}

/// Retrieves the volume mount point where the specified path is mounted: the root of its drive.
#[shim(kernel32, ansi)]
fn GetVolumePathNameW(cx: &Cx, name: NameStr, out: TextOut, size: u32) -> Win32<()> {
    let name = name.get()?;
    if name.is_empty() {
        return Err(transom_sdk::WinError::Code(transom_sdk::foundation::ERROR_INVALID_PARAMETER));
    }
    let full = cx.files().names.full_path(&name)?;
    let (len, whole) = out.put_truncated(full.get(..3).unwrap_or(&full), size)?;
    let _ = len;
    if whole {
        Ok(())
    } else {
        Err(transom_sdk::WinError::Code(transom_sdk::foundation::ERROR_FILENAME_EXCED_RANGE))
    }
}

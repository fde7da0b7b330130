//! `shlobj_core.h`: known folders. They lie on C:.

use transom_sdk::{Cx, Handle, In, Out, Ptr, TextOut, WStr, Win32, foundation as f, mem, shim};
use windows_sys::Win32::UI::Shell as s;

use crate::ole32::guid::Guid;

/// The path of a folder by its CSIDL.
fn by_number(cx: &Cx, number: u32) -> Option<String> {
    let profile = |rest: &str| format!("{}{rest}", cx.files().names.profile());
    let plain = |path: &str| Some(path.to_owned());
    Some(match number {
        s::CSIDL_DESKTOP | s::CSIDL_DESKTOPDIRECTORY => profile("\\Desktop"),
        s::CSIDL_PERSONAL => profile("\\Documents"),
        s::CSIDL_MYMUSIC => profile("\\Music"),
        s::CSIDL_MYVIDEO => profile("\\Videos"),
        s::CSIDL_MYPICTURES => profile("\\Pictures"),
        s::CSIDL_APPDATA => profile("\\AppData\\Roaming"),
        s::CSIDL_LOCAL_APPDATA => profile("\\AppData\\Local"),
        s::CSIDL_PROFILE => profile(""),
        s::CSIDL_INTERNET_CACHE => profile("\\AppData\\Local\\Microsoft\\Windows\\INetCache"),
        s::CSIDL_STARTMENU => profile("\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu"),
        s::CSIDL_PROGRAMS => profile("\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs"),
        s::CSIDL_COMMON_APPDATA => return plain("C:\\ProgramData"),
        s::CSIDL_COMMON_DOCUMENTS => return plain("C:\\Users\\Public\\Documents"),
        s::CSIDL_WINDOWS => return plain("C:\\Windows"),
        s::CSIDL_SYSTEM => return plain("C:\\Windows\\System32"),
        s::CSIDL_SYSTEMX86 => return plain("C:\\Windows\\SysWOW64"),
        s::CSIDL_FONTS => return plain("C:\\Windows\\Fonts"),
        s::CSIDL_PROGRAM_FILES => return plain("C:\\Program Files"),
        s::CSIDL_PROGRAM_FILESX86 => return plain("C:\\Program Files (x86)"),
        s::CSIDL_PROGRAM_FILES_COMMON => return plain("C:\\Program Files\\Common Files"),
        s::CSIDL_PROGRAM_FILES_COMMONX86 => return plain("C:\\Program Files (x86)\\Common Files"),
        _ => return None,
    })
}

/// The path of a folder by its KNOWNFOLDERID.
fn by_id(cx: &Cx, id: &Guid) -> Option<String> {
    let known = [
        (s::FOLDERID_Desktop, s::CSIDL_DESKTOP),
        (s::FOLDERID_Documents, s::CSIDL_PERSONAL),
        (s::FOLDERID_Music, s::CSIDL_MYMUSIC),
        (s::FOLDERID_Videos, s::CSIDL_MYVIDEO),
        (s::FOLDERID_Pictures, s::CSIDL_MYPICTURES),
        (s::FOLDERID_RoamingAppData, s::CSIDL_APPDATA),
        (s::FOLDERID_LocalAppData, s::CSIDL_LOCAL_APPDATA),
        (s::FOLDERID_Profile, s::CSIDL_PROFILE),
        (s::FOLDERID_ProgramData, s::CSIDL_COMMON_APPDATA),
        (s::FOLDERID_PublicDocuments, s::CSIDL_COMMON_DOCUMENTS),
        (s::FOLDERID_Windows, s::CSIDL_WINDOWS),
        (s::FOLDERID_System, s::CSIDL_SYSTEM),
        (s::FOLDERID_SystemX86, s::CSIDL_SYSTEMX86),
        (s::FOLDERID_Fonts, s::CSIDL_FONTS),
        (s::FOLDERID_ProgramFiles, s::CSIDL_PROGRAM_FILES),
        (s::FOLDERID_ProgramFilesX64, s::CSIDL_PROGRAM_FILES),
        (s::FOLDERID_ProgramFilesX86, s::CSIDL_PROGRAM_FILESX86),
        (s::FOLDERID_ProgramFilesCommon, s::CSIDL_PROGRAM_FILES_COMMON),
        (s::FOLDERID_StartMenu, s::CSIDL_STARTMENU),
        (s::FOLDERID_Programs, s::CSIDL_PROGRAMS),
    ];
    let is = |g: &windows_sys::core::GUID| {
        (g.data1, g.data2, g.data3, g.data4) == (id.data1, id.data2, id.data3, id.data4)
    };
    if is(&s::FOLDERID_Downloads) {
        return Some(format!("{}\\Downloads", cx.files().names.profile()));
    }
    if is(&s::FOLDERID_LocalAppDataLow) {
        return Some(format!("{}\\AppData\\LocalLow", cx.files().names.profile()));
    }
    if is(&s::FOLDERID_Public) {
        return Some("C:\\Users\\Public".to_owned());
    }
    if is(&s::FOLDERID_UserProfiles) {
        return Some("C:\\Users".to_owned());
    }
    known.iter().find(|(g, _)| is(g)).and_then(|(_, number)| by_number(cx, *number))
}

/// Makes a user's folder that a program wants to use: those that were not made with C: appear when first asked for.
fn make(cx: &Cx, path: &str) {
    for (end, _) in path.match_indices('\\').skip(1).chain([(path.len(), "")]) {
        let units: Vec<u16> = path[..end].encode_utf16().collect();
        if let Err(status) = cx.files().create_directory(&units) {
            log::debug!("{path}: {status:?}");
        }
    }
}

const NO_SUCH_FOLDER: i32 = 0x8007_0002_u32.cast_signed();

/// Retrieves the full path of a known folder identified by the folder's KNOWNFOLDERID, for CoTaskMemFree.
#[shim(shell32)]
fn SHGetKnownFolderPath(
    cx: &Cx,
    id: In<Guid>,
    _flags: u32,
    _token: Handle,
    out: Out<Ptr<u16>>,
) -> Win32<i32> {
    out.write(cx, Ptr::NULL)?;
    let id = id.read(cx)?;
    let Some(path) = by_id(cx, &id) else {
        log::warn!("SHGetKnownFolderPath: no folder {{{}}}", id.text());
        return Ok(NO_SUCH_FOLDER);
    };
    make(cx, &path);
    let units: Vec<u16> = path.encode_utf16().chain([0]).collect();
    let Some(block) = cx.heaps().process().alloc(2 * units.len() as u64, false) else {
        return Ok(f::E_OUTOFMEMORY);
    };
    mem::write_slice(block, &units)?;
    out.write(cx, Ptr::new(block))?;
    Ok(f::S_OK)
}

const MAX_PATH: u32 = 260;

/// Gets the path of a folder identified by a CSIDL value.
#[shim(shell32, ansi)]
fn SHGetFolderPathW(
    cx: &Cx,
    _window: Handle,
    number: u32,
    _token: Handle,
    _flags: u32,
    out: TextOut,
) -> Win32<i32> {
    // The upper byte holds flags; folders are made when asked for anyway.
    let Some(path) = by_number(cx, number & 0xFF) else { return Ok(f::E_INVALIDARG) };
    make(cx, &path);
    let units: Vec<u16> = path.encode_utf16().collect();
    out.put(&units, MAX_PATH)?;
    Ok(f::S_OK)
}

/// Retrieves the path of a special folder, identified by its CSIDL.
#[shim(shell32, ansi)]
fn SHGetSpecialFolderPathW(cx: &Cx, window: Handle, out: TextOut, number: u32, _create: bool) -> Win32<bool> {
    Ok(SHGetFolderPathW(cx, window, number, Handle::NULL, 0, out)? == f::S_OK)
}

/// Performs an operation on a file by the program registered for it: nothing is registered.
#[shim(shell32(ShellExecuteW, ShellExecuteA))]
fn ShellExecuteW(
    _cx: &Cx,
    _window: Handle,
    _verb: Option<WStr>,
    _file: Ptr<u8>,
    _parameters: Ptr<u8>,
    _directory: Ptr<u8>,
    _show: i32,
) -> isize {
    // Results up to 32 are errors.
    s::SE_ERR_NOASSOC as isize
}

/// As ShellExecute: nothing is registered.
#[shim(shell32(ShellExecuteExW, ShellExecuteExA))]
fn ShellExecuteExW(_cx: &Cx, _info: Ptr<u8>) -> Win32<()> {
    Err(transom_sdk::WinError::Code(f::ERROR_NO_ASSOCIATION))
}

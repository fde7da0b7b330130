//! `libloaderapi.h`: modules and their exports. Resources are in `resources.rs`.

use std::path::PathBuf;
use std::sync::Arc;

use transom_loader::modules::{LoadError, Module};
use transom_loader::pe::Symbol;
use transom_loader::search::Places;
use transom_sdk::{
    AStr, Cx, Func, Handle, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim,
    win32_from_status,
};
use transom_syscalls::path::fold::equal_ascii;
use windows_sys::Win32::System::LibraryLoader as ll;

const MODULE_NOT_FOUND: WinError = WinError::Code(f::ERROR_MOD_NOT_FOUND);
const PROCEDURE_NOT_FOUND: WinError = WinError::Code(f::ERROR_PROC_NOT_FOUND);

/// The module of a handle; NULL is the program. The low bits of a handle mark data files.
fn module(cx: &Cx, handle: Handle) -> Win32<Arc<Module>> {
    let found = if handle.is_null() {
        cx.modules().program()
    } else {
        cx.modules().by_handle(handle.0.cast_unsigned() & !3)
    };
    found.ok_or(MODULE_NOT_FOUND)
}

fn handle(module: &Module) -> Handle {
    Handle(module.base.cast_signed())
}

fn is_separator(c: u16) -> bool {
    c == u16::from(b'\\') || c == u16::from(b'/')
}

/// A module among the loaded ones: by file name, or by path if the name has one.
fn find_loaded(cx: &Cx, name: &[u16]) -> Win32<Arc<Module>> {
    let text = String::from_utf16_lossy(name);
    let found = cx.modules().by_name(&text).ok_or(MODULE_NOT_FOUND)?;
    if name.iter().any(|&c| is_separator(c)) {
        let full = cx.files().names.full_path(name)?;
        let path = String::from_utf16_lossy(&found.path);
        if !equal_ascii(&full, &path) && !transom_syscalls::path::fold::equal(&full, &found.path) {
            return Err(MODULE_NOT_FOUND);
        }
    }
    Ok(found)
}

/// Retrieves a module handle for the specified module, which must have been loaded by the calling process.
#[shim(kernel32, ansi)]
fn GetModuleHandleW(cx: &Cx, name: Option<WStr>) -> Win32<Handle> {
    match name {
        None => module(cx, Handle::NULL).map(|m| handle(&m)),
        Some(name) => find_loaded(cx, &name.get()?).map(|m| handle(&m)),
    }
}

/// Retrieves a module handle and adds a reference or pins the module.
#[shim(kernel32, ansi)]
fn GetModuleHandleExW(cx: &Cx, flags: u32, name: Option<WStr>, out: Out<Handle>) -> Win32<()> {
    const PIN: u32 = ll::GET_MODULE_HANDLE_EX_FLAG_PIN;
    const UNCHANGED: u32 = ll::GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    const FROM_ADDRESS: u32 = ll::GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    if out.is_null()
        || flags & !(PIN | UNCHANGED | FROM_ADDRESS) != 0
        || flags & (PIN | UNCHANGED) == PIN | UNCHANGED
    {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    out.write(cx, Handle::NULL)?;
    let found = match name {
        None => module(cx, Handle::NULL)?,
        Some(address) if flags & FROM_ADDRESS != 0 => {
            cx.modules().by_address(cx.process().relayed(address.addr())).ok_or(MODULE_NOT_FOUND)?
        }
        Some(name) => find_loaded(cx, &name.get()?)?,
    };
    if flags & PIN != 0 {
        cx.modules().pin(&found);
    } else if flags & UNCHANGED == 0 {
        cx.modules().reference(&found);
    }
    Ok(out.write(cx, handle(&found))?)
}

/// Retrieves the address of an exported function or variable. A small value in place of the name is an ordinal.
#[shim(kernel32)]
fn GetProcAddress(cx: &Cx, library: Handle, name: AStr) -> Win32<Func> {
    let library = module(cx, library)?;
    match u16::try_from(name.addr()) {
        Ok(ordinal) => {
            let address = cx.modules().bound_address_of(&library, &Symbol::Ordinal(ordinal));
            address.map(Func).ok_or(WinError::Code(f::ERROR_INVALID_ORDINAL))
        }
        Err(_) => named_export(cx, &library, name)?.map(Func).ok_or(PROCEDURE_NOT_FOUND),
    }
}

/// An export by a name in guest memory. Most are short: those are read without an allocation.
fn named_export(cx: &Cx, library: &Module, name: AStr) -> Win32<Option<u64>> {
    let mut short = [0; 64];
    let len = mem::strlen8(name.addr(), short.len() + 1)?;
    let Some(bytes) = short.get_mut(..len) else {
        return Ok(cx.modules().address_of_name(library, &name.get()?));
    };
    mem::copy_in(name.addr(), bytes)?;
    Ok(cx.modules().address_of_name(library, bytes))
}

/// What a failed load sets as the last error; the reason is logged, as the code says little.
fn load_failed(name: &str, error: &LoadError) -> WinError {
    log::info!("LoadLibrary {name}: {error}");
    WinError::Code(win32_from_status(error.status()))
}

/// Loads the specified module into the address space of the calling process.
#[shim(kernel32, ansi)]
fn LoadLibraryW(cx: &Cx, name: WStr) -> Win32<Handle> {
    LoadLibraryExW(cx, name, Handle::NULL, 0)
}

/// The places that flags of LoadLibraryEx name; `None` if they name none. A DLL's own folder is known only if the DLL is named
/// with its full path. The system's DLLs are found whatever the flags say.
fn places(flags: u32, full_path: bool) -> Win32<Option<Places>> {
    const ANY: u32 = ll::LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR
        | ll::LOAD_LIBRARY_SEARCH_APPLICATION_DIR
        | ll::LOAD_LIBRARY_SEARCH_USER_DIRS
        | ll::LOAD_LIBRARY_SEARCH_SYSTEM32
        | ll::LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
    let asks = |flag| flags & (flag | ll::LOAD_LIBRARY_SEARCH_DEFAULT_DIRS) != 0;
    let own = flags & ll::LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR != 0;
    let altered = flags & ll::LOAD_WITH_ALTERED_SEARCH_PATH != 0;
    match (altered, flags & ANY != 0) {
        (true, true) => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
        (false, true) if own && !full_path => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
        (false, true) => Ok(Some(Places::Named {
            own,
            program: asks(ll::LOAD_LIBRARY_SEARCH_APPLICATION_DIR),
            user: asks(ll::LOAD_LIBRARY_SEARCH_USER_DIRS),
        })),
        (true, false) => Ok(Some(Places::Altered)),
        (false, false) => Ok(None),
    }
}

/// Whether a path names a drive or share and a folder from its root.
fn is_full_path(path: &[u16]) -> bool {
    let rooted =
        path.first().is_some_and(|&c| is_separator(c)) && path.get(1).is_some_and(|&c| is_separator(c));
    rooted || path.get(1) == Some(&u16::from(b':')) && path.get(2).is_some_and(|&c| is_separator(c))
}

/// Loads a module with options.
#[shim(kernel32, ansi)]
fn LoadLibraryExW(cx: &Cx, name: WStr, _file: Handle, flags: u32) -> Win32<Handle> {
    if name.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let wide = name.get()?;
    if wide.is_empty() {
        return Err(WinError::Code(f::ERROR_MOD_NOT_FOUND));
    }
    let places = places(flags, is_full_path(&wide))?;
    if flags & super::datafile::FLAGS != 0 {
        return super::datafile::load(cx, &wide, flags);
    }
    let text = String::from_utf16_lossy(&wide);
    let path = if wide.iter().any(|&c| is_separator(c)) { Some(existing_path(cx, &wide)?) } else { None };
    let loaded = cx.modules().load_library(&text, path.as_deref(), places, cx);
    loaded.map(|m| handle(&m)).map_err(|e| load_failed(&text, &e))
}

/// The host's folders that PATH names now, for the search for DLLs.
#[must_use]
pub fn path_folders() -> Vec<PathBuf> {
    Cx::with_current(|cx| {
        let name: Vec<u16> = "PATH".encode_utf16().collect();
        let value = super::processenv::variable(cx, &name).ok().flatten().unwrap_or_default();
        let folders = value.split(|&c| c == u16::from(b';')).filter(|folder| !folder.is_empty());
        folders.filter_map(|folder| existing_path(cx, folder).ok()).collect()
    })
    .unwrap_or_default()
}

/// The host path of a DLL named with its folder.
pub(crate) fn existing_path(cx: &Cx, name: &[u16]) -> Win32<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let host = cx.files().names.host_path(name)?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(host.as_bytes())))
}

/// Frees the loaded module and, if necessary, decrements its reference count.
#[shim(kernel32)]
fn FreeLibrary(cx: &Cx, library: Handle) -> Win32<()> {
    if super::datafile::free(cx, library) {
        return Ok(());
    }
    let base = library.0.cast_unsigned() & !3;
    cx.modules().free_library(base, cx).map_err(|_| MODULE_NOT_FOUND)
}

/// Retrieves the path of a module's file.
#[shim(kernel32, ansi)]
fn GetModuleFileNameW(cx: &Cx, library: Handle, out: TextOut, size: u32) -> Win32<u32> {
    let found = module(cx, library)?;
    let (written, whole) = out.put_truncated(&found.path, size)?;
    if !whole {
        cx.set_last_error(f::ERROR_INSUFFICIENT_BUFFER);
        return Ok(size);
    }
    cx.set_last_error(f::ERROR_SUCCESS);
    Ok(written)
}

/// Disables the DLL_THREAD_ATTACH and DLL_THREAD_DETACH notifications for a DLL.
#[shim(kernel32)]
fn DisableThreadLibraryCalls(cx: &Cx, library: Handle) -> Win32<()> {
    let found = module(cx, library)?;
    found.disable_thread_calls();
    Ok(())
}

/// Puts a directory, or with an empty name nothing, in place of the current directory in the search for DLLs; NULL restores the
/// default.
#[shim(kernel32, ansi)]
fn SetDllDirectoryW(cx: &Cx, path: Option<WStr>) -> Win32<()> {
    let place = match path {
        None => None,
        Some(path) => {
            let path = path.get()?;
            Some(if path.is_empty() { None } else { Some(existing_path(cx, &path)?) })
        }
    };
    cx.modules().change_search(|search| search.in_place_of_current = place);
    Ok(())
}

/// Folders that AddDllDirectory has added, by cookie.
#[derive(Default)]
struct Added(std::sync::Mutex<Vec<(u64, PathBuf)>>);

/// Adds a directory to the process DLL search path; the cookie is for RemoveDllDirectory.
#[shim(kernel32)]
fn AddDllDirectory(cx: &Cx, path: WStr) -> Win32<Ptr<u8>> {
    let wide = path.get()?;
    if !cx.files().query(&wide)?.is_directory() {
        return Err(WinError::Code(f::ERROR_FILE_NOT_FOUND));
    }
    let folder = existing_path(cx, &wide)?;
    let mut added = cx.state::<Added>().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cookie = 8 + added.last().map_or(0, |(cookie, _)| *cookie);
    added.push((cookie, folder.clone()));
    cx.modules().change_search(|search| search.user.push(folder));
    Ok(Ptr::new(cookie))
}

/// Removes a directory that was added to the process DLL search path.
#[shim(kernel32)]
fn RemoveDllDirectory(cx: &Cx, cookie: Ptr<u8>) -> Win32<()> {
    let mut added = cx.state::<Added>().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let at = added.iter().position(|(known, _)| *known == cookie.addr());
    let (_, folder) = added.remove(at.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?);
    cx.modules().change_search(|search| {
        if let Some(at) = search.user.iter().position(|known| *known == folder) {
            search.user.remove(at);
        }
    });
    Ok(())
}

/// Specifies a default set of directories to search when the calling process loads a DLL.
#[shim(kernel32)]
fn SetDefaultDllDirectories(cx: &Cx, flags: u32) -> Win32<()> {
    const KNOWN: u32 = ll::LOAD_LIBRARY_SEARCH_APPLICATION_DIR
        | ll::LOAD_LIBRARY_SEARCH_USER_DIRS
        | ll::LOAD_LIBRARY_SEARCH_SYSTEM32
        | ll::LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
    if flags & !KNOWN != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let places = places(flags, false)?.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    cx.modules().change_search(|search| search.default = places);
    Ok(())
}

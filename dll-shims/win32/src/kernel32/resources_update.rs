//! Changing the resources of files: BeginUpdateResource, UpdateResource, EndUpdateResource.
//!
//! The file stays open from the first call to the last, which writes it: no other program changes it meanwhile. Room on the
//! disk is taken before the first byte is overwritten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use transom_loader::pe::Pe;
use transom_loader::pe::resources::edit::{Change, edit};
use transom_sdk::{Cx, Handle, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::file::{FileObject, GuestRange, OpenRequest, Opened, Position};
use windows_sys::Win32::Storage::FileSystem as fs;

use super::resources::id;

/// A file whose resources are being changed.
struct Update {
    file: Arc<FileObject>,
    contents: Vec<u8>,
    replace_all: bool,
    changes: Vec<Change>,
}

/// Where the handles begin: as on Windows they are none of the handle table's, and should not look like those.
const FIRST: i64 = 1 << 30;

/// What is being changed, by handle, and how many such handles there were.
#[derive(Default)]
struct State(Mutex<(i64, HashMap<i64, Update>)>);

const NOT_AN_IMAGE: WinError = WinError::Code(f::ERROR_BAD_EXE_FORMAT);
const NO_UPDATE: WinError = WinError::Code(f::ERROR_INVALID_HANDLE);

/// Opens a file to read and write it while nobody else writes.
fn open(cx: &Cx, path: &[u16]) -> Win32<Arc<FileObject>> {
    let access = f::GENERIC_READ | f::GENERIC_WRITE;
    let request = OpenRequest::from_win32(access, fs::FILE_SHARE_READ, fs::OPEN_EXISTING, 0)?;
    match cx.files().open(path, &request)? {
        Opened::File(file, _) => Ok(file),
        _ => Err(NOT_AN_IMAGE),
    }
}

fn read(file: &FileObject) -> Win32<Vec<u8>> {
    let size = usize::try_from(file.size()?).map_err(|_| NOT_AN_IMAGE)?;
    let mut contents = vec![0; size];
    let mut done = 0;
    while done < size {
        match file.read(GuestRange::of(&mut contents[done..]), Position::At(done as u64))? {
            0 => return Err(NOT_AN_IMAGE),
            more => done += more,
        }
    }
    Ok(contents)
}

fn write(file: &FileObject, contents: &mut [u8]) -> Win32<()> {
    let size = contents.len() as u64;
    if size > file.size()? {
        file.set_allocation(size)?;
    }
    let mut done = 0;
    while done < contents.len() {
        done += file.write(GuestRange::of(&mut contents[done..]), Position::At(done as u64))?;
    }
    Ok(file.set_end_of_file(size)?)
}

/// Retrieves a handle that can be used to add, delete, or replace resources in a file.
#[shim(kernel32, ansi)]
fn BeginUpdateResourceW(cx: &Cx, path: WStr, delete_existing: bool) -> Win32<Handle> {
    let file = open(cx, &path.get()?)?;
    let contents = read(&file)?;
    Pe::parse_as_data(&contents).map_err(|e| {
        log::info!("BeginUpdateResource: {e}");
        NOT_AN_IMAGE
    })?;
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let (count, updates) = &mut *state;
    let handle = FIRST + 16 * *count;
    *count += 1;
    updates.insert(handle, Update { file, contents, replace_all: delete_existing, changes: Vec::new() });
    Ok(Handle(handle))
}

/// Adds, deletes, or replaces a resource in a file; it is deleted if there is no data.
#[shim(kernel32, ansi)]
fn UpdateResourceW(
    cx: &Cx,
    update: Handle,
    kind: WStr,
    name: WStr,
    language: u16,
    data: Option<Ptr<u8>>,
    size: u32,
) -> Win32<()> {
    let (kind, name) = (id(kind)?, id(name)?);
    let data = data.map(|data| data.read_slice(size as usize)).transpose()?;
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let update = state.1.get_mut(&update.0).ok_or(NO_UPDATE)?;
    update.changes.push(Change { kind, name, language, data });
    Ok(())
}

/// Commits or discards the changes made since BeginUpdateResource.
#[shim(kernel32(EndUpdateResourceW, EndUpdateResourceA))]
fn EndUpdateResourceW(cx: &Cx, update: Handle, discard: bool) -> Win32<()> {
    let update = {
        let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.remove(&update.0).ok_or(NO_UPDATE)?
    };
    if discard {
        return Ok(());
    }
    let mut contents = edit(&update.contents, update.replace_all, &update.changes).map_err(|e| {
        log::warn!("EndUpdateResource: {e}");
        WinError::Code(f::ERROR_INVALID_DATA)
    })?;
    write(&update.file, &mut contents)
}

//! Modules loaded for their data (LOAD_LIBRARY_AS_DATAFILE and its like): not in the module list, not bound, never run.
//! Their handles have one of the two low bits set.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use transom_loader::map::{self, GuestImage};
use transom_loader::pe::Headers;
use transom_sdk::{Cx, Handle, Win32, WinError, win32_from_status};
use windows_sys::Win32::System::LibraryLoader as ll;

/// The flags that make a load one of data.
pub(crate) const FLAGS: u32 = ll::LOAD_LIBRARY_AS_DATAFILE
    | ll::LOAD_LIBRARY_AS_DATAFILE_EXCLUSIVE
    | ll::LOAD_LIBRARY_AS_IMAGE_RESOURCE;

/// The handle's mark: 1 for data files, 2 for image resources.
const DATAFILE: i64 = 1;
const IMAGE_RESOURCE: i64 = 2;

/// What is loaded, by base address.
#[derive(Default)]
struct State(Mutex<HashMap<u64, (GuestImage, Headers)>>);

fn base(handle: Handle) -> Option<u64> {
    (handle.0 & 3 != 0).then_some(handle.0.cast_unsigned() & !3)
}

/// The image of such a handle.
pub(crate) fn image(cx: &Cx, handle: Handle) -> Option<(GuestImage, Headers)> {
    let base = base(handle)?;
    cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner).get(&base).cloned()
}

/// Loads a file for its data: one of the modules there are, by name, or a file by path, or in the search order's folders.
pub(crate) fn load(cx: &Cx, name: &[u16], flags: u32) -> Win32<Handle> {
    let text = String::from_utf16_lossy(name);
    if let Some(module) = cx.modules().by_name(&text)
        && !text.contains(['\\', '/'])
    {
        // Resource functions take the module's own handle as well.
        cx.modules().reference(&module);
        return Ok(Handle(module.base.cast_signed()));
    }
    let searched = if text.contains(['\\', '/', ':']) { None } else { cx.modules().find_file(&text) };
    let path = searched.map_or_else(|| super::libloaderapi::existing_path(cx, name), Ok)?;
    let (image, headers) = map::map_as_data(cx.memory(), &path).map_err(|e| {
        log::info!("LoadLibraryEx {text}: {e}");
        WinError::Code(win32_from_status(e.status()))
    })?;
    let mark = if flags & ll::LOAD_LIBRARY_AS_IMAGE_RESOURCE != 0 { IMAGE_RESOURCE } else { DATAFILE };
    let handle = Handle(image.base.cast_signed() | mark);
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    state.insert(image.base, (image, headers));
    Ok(handle)
}

/// Frees it; false if the handle is not one of these.
pub(crate) fn free(cx: &Cx, handle: Handle) -> bool {
    let Some(base) = base(handle) else { return false };
    let mut state = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    if state.remove(&base).is_none() {
        return false;
    }
    if let Err(status) = cx.memory().unmap_view(base, false) {
        log::warn!("freeing a data file: {status:?}");
    }
    true
}

//! Named objects. Names live in one table for the process; a `Local\` or `Global\` prefix names the same space.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use transom_sdk::{Cx, Win32, WinError, foundation as f};
use transom_syscalls::object::Object;

/// Objects by name. A name lives as long as its object.
#[derive(Default)]
struct State(Mutex<HashMap<Vec<u16>, Weak<dyn Object>>>);

fn key(name: &[u16]) -> Vec<u16> {
    let text = String::from_utf16_lossy(name);
    let bare = text.strip_prefix("Local\\").or_else(|| text.strip_prefix("Global\\"));
    bare.map_or_else(|| name.to_vec(), |b| b.encode_utf16().collect())
}

/// The object of that name, or a new one; and whether it existed.
pub(crate) fn open_or_make(
    cx: &Cx,
    name: &[u16],
    make: impl FnOnce() -> Win32<Arc<dyn Object>>,
) -> Win32<(Arc<dyn Object>, bool)> {
    let mut table = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key(name);
    if let Some(object) = table.get(&key).and_then(Weak::upgrade) {
        return Ok((object, true));
    }
    let object = make()?;
    table.retain(|_, o| o.strong_count() > 0);
    table.insert(key, Arc::downgrade(&object));
    Ok((object, false))
}

/// The object of that name.
pub(crate) fn open(cx: &Cx, name: &[u16]) -> Win32<Arc<dyn Object>> {
    let table = cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner);
    table.get(&key(name)).and_then(Weak::upgrade).ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))
}

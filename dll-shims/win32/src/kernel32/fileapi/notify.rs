//! Changes in directories: notification handles, and ReadDirectoryChangesW with what has changed.

use std::sync::mpsc;

use transom_sdk::{
    Cx, Func, Handle, NameStr, NtError, Out, Ptr, Status, Win32, WinError, foundation as f, shim,
};
use transom_syscalls::file::{self, Change, DirectoryWatch, FileObject, poke};
use transom_syscalls::handle::HandleFlags;

use super::Overlapped;
use super::overlapped::{Notice, Routine};

/// Creates a change notification handle, which is signalled when something in the directory has changed.
#[shim(kernel32, ansi, fails = -1)]
fn FindFirstChangeNotificationW(cx: &Cx, path: NameStr, subtree: bool, filter: u32) -> Win32<Handle> {
    let watch = cx.files().watch_directory(&path.get()?, subtree, filter)?;
    let access = windows_sys::Win32::Storage::FileSystem::SYNCHRONIZE;
    Ok(cx.handles().insert(watch, access, HandleFlags::default())?.into())
}

/// Requests that a change notification handle be signalled at the next change.
#[shim(kernel32)]
fn FindNextChangeNotification(cx: &Cx, handle: Handle) -> Win32<()> {
    cx.object::<DirectoryWatch>(handle, 0)?.rearm();
    Ok(())
}

/// Stops change notification handle monitoring.
#[shim(kernel32)]
fn FindCloseChangeNotification(cx: &Cx, handle: Handle) -> Win32<()> {
    cx.object::<DirectoryWatch>(handle, 0)?;
    Ok(cx.handles().close(crate::kernel32::handleapi::value(handle)?)?)
}

/// A buffer for FILE_NOTIFY_INFORMATION records, written when there are changes, on whatever thread that is.
#[derive(Clone, Copy)]
pub(crate) struct Records {
    pub(crate) at: u64,
    pub(crate) room: u32,
}

impl Records {
    /// Writes the records; how many bytes, or the status that tells why there are none.
    fn put(self, changes: Result<Vec<Change>, Status>) -> Result<usize, Status> {
        let lost = Status(f::STATUS_NOTIFY_ENUM_DIR);
        let bytes = file::encode_changes(&changes?, self.room as usize).ok_or(lost)?;
        if poke(self.at, &bytes) { Ok(bytes.len()) } else { Err(Status(f::STATUS_ACCESS_VIOLATION)) }
    }
}

/// Begins a request whose end `notice` tells.
pub(crate) fn begin(file: &FileObject, notice: Notice, records: Records, watch: Watch) -> Result<(), Status> {
    let watching = file.watch(watch.subtree, watch.filter)?;
    notice.arm()?;
    watching.request(Box::new(move |changes| notice.tell(records.put(changes))))
}

/// What is watched.
#[derive(Clone, Copy)]
pub(crate) struct Watch {
    pub(crate) subtree: bool,
    pub(crate) filter: u32,
}

/// Retrieves information that describes the changes within the specified directory.
#[shim(kernel32, partial = "one request at a time on a handle")]
fn ReadDirectoryChangesW(
    cx: &Cx,
    directory: Handle,
    out: Ptr<u8>,
    room: u32,
    subtree: bool,
    filter: u32,
    returned: Option<Out<u32>>,
    overlapped: Ptr<Overlapped>,
    routine: Func,
) -> Win32<()> {
    let file = cx.file(directory)?.to_arc();
    let records = Records { at: out.addr(), room };
    let watch = Watch { subtree, filter };
    if overlapped.is_null() {
        let count = wait(&file, records, watch)?;
        if let Some(returned) = returned {
            returned.write(cx, count)?;
        }
        return Ok(());
    }
    let notice = if routine.is_null() {
        Notice::of(cx, file.clone(), overlapped, &overlapped.read(cx)?)?
    } else {
        Notice::with_routine(cx, file.clone(), overlapped, |me| Routine::Win32(me, routine))
    };
    Ok(begin(&file, notice.later(), records, watch)?)
}

/// A request that is waited for; how many bytes were written, 0 if changes were lost.
fn wait(file: &FileObject, records: Records, watch: Watch) -> Win32<u32> {
    let watching = file.watch(watch.subtree, watch.filter)?;
    let (tell, told) = mpsc::channel();
    watching.request(Box::new(move |changes| {
        // Nobody listens any more if the thread was ended.
        let _ = tell.send(records.put(changes));
    }))?;
    match told.recv().unwrap_or(Err(Status(f::STATUS_NOTIFY_CLEANUP))) {
        Ok(n) => Ok(u32::try_from(n).unwrap_or(u32::MAX)),
        Err(status) if status.0 == f::STATUS_NOTIFY_ENUM_DIR => Ok(0),
        Err(status) => Err(WinError::from(status)),
    }
}

/// Returns the changes within the specified directory.
#[shim(
    ntdll(NtNotifyChangeDirectoryFile, ZwNotifyChangeDirectoryFile),
    partial = "one request at a time on a handle"
)]
fn NtNotifyChangeDirectoryFile(
    cx: &Cx,
    directory: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Ptr<u8>,
    out: Ptr<u8>,
    room: u32,
    filter: u32,
    subtree: u8,
) -> transom_sdk::Nt<()> {
    let file = cx.file(directory)?.to_arc();
    let event = if event.is_null() {
        None
    } else {
        Some(cx.object::<transom_syscalls::wait::Event>(event, 0)?.to_arc())
    };
    let me = || transom_syscalls::thread::current().to_arc();
    let notice = Notice {
        file: file.clone(),
        words: io.addr(),
        wide: cx.is_64(),
        event,
        context: if routine.is_null() { context as u64 } else { 0 },
        routine: (!routine.is_null()).then(|| Routine::Nt(me(), routine, context as u64)),
        pended: true,
    };
    begin(&file, notice, Records { at: out.addr(), room }, Watch { subtree: subtree != 0, filter })?;
    Err(NtError::from(Status(f::STATUS_PENDING)))
}

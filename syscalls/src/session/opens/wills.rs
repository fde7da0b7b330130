//! What is to be deleted should its process be killed: a file beside the session's, named after the process's slot, with a
//! record per file that goes when its last handle closes. Whoever cleans the slot deletes them; so does the process itself when it
//! ends without closing its handles.
//!
//! A record takes 4096 bytes, most of which are never written: the path's length, the file's device, inode and time of birth, and
//! the path. A length of zero voids it. A file that is not what it was, or that somebody has open, is left alone.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::Session;
use super::{FileKey, View, own};
use crate::status::Result;

const RECORD: usize = 4096;
/// Length, device, inode, birth.
const HEAD: usize = 32;

/// The records of this process.
#[derive(Default)]
struct Wills {
    file: Option<File>,
    /// Numbers of void records.
    void: Vec<u32>,
    next: u32,
}

static WILLS: Mutex<Wills> = Mutex::new(Wills { file: None, void: Vec::new(), next: 0 });

fn wills() -> MutexGuard<'static, Wills> {
    WILLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A record, which is void once this is dropped.
#[derive(Debug)]
pub(crate) struct Will(u32);

impl Drop for Will {
    fn drop(&mut self) {
        let mut wills = wills();
        if let Some(file) = &wills.file
            && file.write_all_at(&[0; 8], at(self.0)).is_ok()
        {
            wills.void.push(self.0);
        }
    }
}

fn at(number: u32) -> u64 {
    u64::from(number) * RECORD as u64
}

/// A file's birth in nanoseconds; zero where the file system does not keep it.
fn birth(meta: &std::fs::Metadata) -> u64 {
    let since = meta.created().ok().and_then(|time: SystemTime| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

/// Has the file at this path deleted if this process is killed. `None` if that cannot be arranged: then the file stays.
pub(crate) fn write(path: &CStr) -> Option<Will> {
    let record = record(path)?;
    let mut wills = wills();
    if wills.file.is_none() {
        wills.file = own().as_ref().and_then(|slot| slot.backing().ok());
    }
    let number = wills.void.pop().unwrap_or(wills.next);
    wills.file.as_ref()?.write_all_at(&record, at(number)).ok()?;
    wills.next = wills.next.max(number + 1);
    Some(Will(number))
}

fn record(path: &CStr) -> Option<Vec<u8>> {
    let path = path.to_bytes();
    let meta = std::fs::symlink_metadata(OsStr::from_bytes(path)).ok()?;
    let head = [path.len() as u64, meta.dev(), meta.ino(), birth(&meta)];
    let mut record: Vec<u8> = head.into_iter().flat_map(u64::to_le_bytes).collect();
    record.extend(path);
    (record.len() <= RECORD).then_some(record)
}

/// Deletes what a process that is gone would have deleted, under the session's table lock.
pub(in crate::session) fn execute(backing: &Path, session: &'static Session) {
    let Ok(file) = File::open(backing) else { return };
    let view = View::of_cleaner(session);
    let mut record = [0; RECORD];
    for number in 0.. {
        match file.read_at(&mut record, at(number)) {
            Ok(length) if length >= HEAD => {
                if let Some(Err(status)) = delete(&record[..length], &view) {
                    log::warn!("a file that a killed process was to delete could not be deleted: {status:?}");
                }
            }
            _ => return,
        }
    }
}

/// Deletes the file of one record. `None`: there is nothing to delete.
fn delete(record: &[u8], view: &View) -> Option<Result<()>> {
    let (head, path) = record.split_at_checked(HEAD)?;
    let mut words = head.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let (length, device, inode, born) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let path = path.get(..usize::try_from(length).ok()?).filter(|path| !path.is_empty())?;
    let path = Path::new(OsStr::from_bytes(path));
    let meta = std::fs::symlink_metadata(path).ok()?;
    let key: FileKey = (meta.dev(), meta.ino());
    if key != (device, inode) || birth(&meta) != born || view.is_open(key) {
        return None;
    }
    let deleted = if meta.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
    Some(deleted.map_err(Into::into))
}

//! The registry: defaults compiled in ([`defaults`]), and over them what programs wrote ([`store`]), which all processes
//! of the user share.
//!
//! A key is named by its path from a hive: `MACHINE\SOFTWARE\...`, `USER\...` (the user's own hive), `USERS\...`. There
//! is one view: 32-bit programs see the same keys as 64-bit ones. The store comes into being with the first write; until
//! then the registry costs nothing.

mod defaults;
mod store;
mod watch;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation as f;

use crate::object::{Kind, Object};
use crate::path::fold::{equal, upcase};
use crate::status::{Result, Status};
use crate::time::{FileTime, system_time};
use defaults::Defaults;
pub use store::Value;
use store::{KeyRecord, State, Store, ValueRecord};
pub use watch::Watch;

/// The longest name of a key, in UTF-16 units.
pub const MAX_KEY_NAME: usize = 255;
/// The longest name of a value, in UTF-16 units.
pub const MAX_VALUE_NAME: usize = 16_383;

const SEPARATOR: u16 = b'\\' as u16;
const NOT_FOUND: Status = Status(f::STATUS_OBJECT_NAME_NOT_FOUND);

/// The registry of a process.
#[derive(Debug, Default)]
pub struct Registry {
    folder: OnceLock<PathBuf>,
    store: Store,
    defaults: OnceLock<Defaults>,
    watches: watch::Watches,
}

/// An open key.
#[derive(Debug)]
pub struct Key {
    path: Vec<u16>,
    deleted: AtomicBool,
}

impl Key {
    /// A key at a path, which [`Registry::open`] or [`Registry::create`] gave.
    #[must_use]
    pub fn new(path: Vec<u16>) -> Self {
        Self { path, deleted: AtomicBool::new(false) }
    }

    /// The key's path from its hive.
    ///
    /// # Errors
    /// `STATUS_KEY_DELETED` if it was deleted through this handle.
    pub fn path(&self) -> Result<&[u16]> {
        if self.deleted.load(Ordering::Relaxed) { Err(Status(f::STATUS_KEY_DELETED)) } else { Ok(&self.path) }
    }

    /// Marks the key as deleted.
    pub fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Relaxed);
    }
}

impl Object for Key {
    fn kind(&self) -> Kind {
        Kind::Key
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A path in upper case, as keys are compared.
fn folded(path: &[u16]) -> Vec<u16> {
    path.iter().map(|&c| upcase(c)).collect()
}

/// The parts of a path; empty ones do not count.
fn parts(path: &[u16]) -> impl Iterator<Item = &[u16]> {
    path.split(|&c| c == SEPARATOR).filter(|part| !part.is_empty())
}

fn joined(base: &[u16], sub: &[u16]) -> Result<Vec<u16>> {
    let mut path = base.to_vec();
    for part in parts(sub) {
        if part.len() > MAX_KEY_NAME {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        path.push(SEPARATOR);
        path.extend_from_slice(part);
    }
    Ok(path)
}

fn split(path: &[u16]) -> Option<(&[u16], &[u16])> {
    let at = path.iter().rposition(|&c| c == SEPARATOR)?;
    Some((&path[..at], &path[at + 1..]))
}

impl Registry {
    /// Says where the store is to be: the folder of Transom's state. Only the first call counts.
    pub fn set_folder(&self, folder: impl FnOnce() -> PathBuf) {
        self.folder.get_or_init(folder);
    }

    fn store(&self) -> Option<&Store> {
        self.store.open(self.folder.get()?).then_some(&self.store)
    }

    fn writable(&self) -> Result<&Store> {
        let folder = self.folder.get().ok_or(Status(f::STATUS_NOT_SUPPORTED))?;
        self.store.create(folder)?;
        Ok(&self.store)
    }

    fn defaults(&self) -> &Defaults {
        self.defaults.get_or_init(Defaults::new)
    }

    fn record(&self, path: &[u16]) -> Result<Option<KeyRecord>> {
        let (Some((parent, name)), Some(store)) = (split(path), self.store()) else { return Ok(None) };
        store.key(&folded(parent), &folded(name))
    }

    fn exists(&self, path: &[u16]) -> Result<bool> {
        Ok(match self.record(path)? {
            Some(record) => record.state != State::Deleted,
            None => self.defaults().has(&folded(path)),
        })
    }

    /// Opens a key: its path.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND`; `STATUS_INVALID_PARAMETER` for a name that is too long.
    pub fn open(&self, base: &[u16], sub: &[u16]) -> Result<Vec<u16>> {
        let path = joined(base, sub)?;
        if self.exists(&path)? { Ok(path) } else { Err(NOT_FOUND) }
    }

    /// Opens a key or creates it, with those above it; and whether it was created.
    ///
    /// # Errors
    /// What the store says; `STATUS_INVALID_PARAMETER` for a name that is too long.
    pub fn create(&self, base: &[u16], sub: &[u16]) -> Result<(Vec<u16>, bool)> {
        let path = joined(base, sub)?;
        if self.exists(&path)? {
            return Ok((path, false));
        }
        let store = self.writable()?;
        let mut at = base.to_vec();
        for part in parts(sub) {
            let parent = at.clone();
            at.push(SEPARATOR);
            at.extend_from_slice(part);
            if self.exists(&at)? {
                continue;
            }
            let record = KeyRecord { state: State::Fresh, last_write: system_time(), name: part.to_vec() };
            store.put_key(&folded(&parent), &folded(part), &record)?;
            self.watches.changed(&folded(&parent), Watch::NAME);
        }
        Ok((path, true))
    }

    /// The names of a key's subkeys, in order.
    ///
    /// # Errors
    /// What the store says.
    pub fn subkeys(&self, path: &[u16]) -> Result<Vec<Vec<u16>>> {
        let folded_path = folded(path);
        let mut names = self.defaults().subkeys(&folded_path);
        if let Some(store) = self.store() {
            for record in store.keys(&folded_path)? {
                names.retain(|name| !equal(name, &record.name));
                if record.state != State::Deleted {
                    names.push(record.name);
                }
            }
        }
        names.sort_by_key(|name| folded(name));
        Ok(names)
    }

    /// A key's values.
    ///
    /// # Errors
    /// What the store says.
    pub fn values(&self, path: &[u16]) -> Result<Vec<Value>> {
        let folded_path = folded(path);
        let fresh = self.record(path)?.is_some_and(|r| r.state == State::Fresh);
        let mut values = if fresh { Vec::new() } else { self.defaults().values(&folded_path) };
        if let Some(store) = self.store() {
            for record in store.values(&folded_path)? {
                values.retain(|value| !equal(&value.name, &record.value.name));
                if !record.deleted {
                    values.push(record.value);
                }
            }
        }
        Ok(values)
    }

    /// A value of a key; the empty name is the default value.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND`.
    pub fn value(&self, path: &[u16], name: &[u16]) -> Result<Value> {
        if let Some(store) = self.store()
            && let Some(record) = store.value(&folded(path), &folded(name))?
        {
            return if record.deleted { Err(NOT_FOUND) } else { Ok(record.value) };
        }
        self.values(path)?.into_iter().find(|value| equal(&value.name, name)).ok_or(NOT_FOUND)
    }

    /// Sets a value.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a name that is too long; what the store says.
    pub fn set_value(&self, path: &[u16], value: Value) -> Result<()> {
        if value.name.len() > MAX_VALUE_NAME {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        let store = self.writable()?;
        let name = folded(&value.name);
        store.put_value(&folded(path), &name, &ValueRecord { deleted: false, value })?;
        self.touched(path)
    }

    /// Deletes a value.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND`; what the store says.
    pub fn delete_value(&self, path: &[u16], name: &[u16]) -> Result<()> {
        let mut value = self.value(path, name)?;
        value.data = Vec::new();
        self.writable()?.put_value(&folded(path), &folded(name), &ValueRecord { deleted: true, value })?;
        self.touched(path)
    }

    /// Deletes a key that has no subkeys.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND`; `STATUS_CANNOT_DELETE` for a hive or a key with subkeys.
    pub fn delete_key(&self, path: &[u16]) -> Result<()> {
        let (parent, name) = split(path).ok_or(Status(f::STATUS_CANNOT_DELETE))?;
        if !self.exists(path)? {
            return Err(NOT_FOUND);
        }
        if !self.subkeys(path)?.is_empty() {
            return Err(Status(f::STATUS_CANNOT_DELETE));
        }
        let store = self.writable()?;
        store.forget_values(&folded(path))?;
        let record = KeyRecord { state: State::Deleted, last_write: system_time(), name: name.to_vec() };
        store.put_key(&folded(parent), &folded(name), &record)?;
        self.watches.changed(&folded(parent), Watch::NAME);
        Ok(())
    }

    /// When a key was last written to; the defaults never were.
    ///
    /// # Errors
    /// What the store says.
    pub fn last_write(&self, path: &[u16]) -> Result<FileTime> {
        Ok(self.record(path)?.map_or(0, |record| record.last_write))
    }

    /// Writes what was set through to the disk.
    ///
    /// # Errors
    /// What the store says.
    pub fn flush(&self) -> Result<()> {
        self.store().map_or(Ok(()), Store::flush)
    }

    /// Watches a key for changes that this process makes.
    pub fn watch(&self, path: &[u16], watch: Watch) {
        self.watches.add(folded(path), watch);
    }

    /// Notes a change of a key's values.
    fn touched(&self, path: &[u16]) -> Result<()> {
        if let Some((parent, name)) = split(path) {
            let state = self.record(path)?.map_or(State::Present, |record| record.state);
            let record = KeyRecord { state, last_write: system_time(), name: name.to_vec() };
            self.writable()?.put_key(&folded(parent), &folded(name), &record)?;
        }
        self.watches.changed(&folded(path), Watch::LAST_SET);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

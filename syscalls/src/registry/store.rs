//! What programs wrote: an LMDB database in Transom's state folder, which processes share without a server and which a
//! killed process leaves whole.
//!
//! Names may be longer than LMDB's keys, so records are found by hashes: of the parent's path, then of the name. Records
//! hold the names themselves, in UTF-16.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions, RoTxn, WithoutTls};
use windows_sys::Win32::Foundation as f;

use crate::status::{Result, Status};

/// The most that the database can hold, in bytes of address space.
const MAP_SIZE: usize = 256 << 20;
const FOLDER: &str = "registry";

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name; empty for the default value.
    pub name: Vec<u16>,
    /// Its type: `REG_SZ` and so on.
    pub kind: u32,
    /// Its data.
    pub data: Vec<u8>,
}

/// What a record says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is there; its default values show through.
    Present,
    /// It was deleted.
    Deleted,
    /// It was created: default values do not show through.
    Fresh,
}

/// A key that was written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRecord {
    pub(super) state: State,
    pub(super) last_write: i64,
    pub(super) name: Vec<u16>,
}

/// A value that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueRecord {
    pub(super) deleted: bool,
    pub(super) value: Value,
}

type Records = Database<Bytes, Bytes>;

struct Open {
    env: Env<WithoutTls>,
    records: Records,
}

/// The database, once it is open.
#[derive(Default)]
pub(super) struct Store {
    open: OnceLock<Open>,
    opening: Mutex<()>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("open", &self.open.get().is_some()).finish()
    }
}

fn failed(error: &heed::Error) -> Status {
    log::warn!("registry: {error}");
    Status(match error {
        heed::Error::Mdb(heed::MdbError::MapFull) => f::STATUS_DISK_FULL,
        heed::Error::Io(e) => return Status::from_errno(e.raw_os_error().unwrap_or(libc::EIO)),
        _ => f::STATUS_REGISTRY_IO_FAILED,
    })
}

fn hash(text: &[u16]) -> [u8; 16] {
    // FNV-1a: the hashes are kept on disk, so they must never change.
    let mut state = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D_u128;
    for byte in text.iter().flat_map(|u| u.to_le_bytes()) {
        state = (state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B);
    }
    state.to_be_bytes()
}

const KEY: u8 = b'k';
const VALUE: u8 = b'v';

fn prefix(parent: &[u16], kind: u8) -> Vec<u8> {
    let mut key = hash(parent).to_vec();
    key.push(kind);
    key
}

fn address(parent: &[u16], kind: u8, name: &[u16]) -> Vec<u8> {
    let mut key = prefix(parent, kind);
    key.extend(hash(name));
    key
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
}

fn bytes_of(text: &[u16]) -> impl Iterator<Item = u8> {
    text.iter().flat_map(|u| u.to_le_bytes())
}

impl KeyRecord {
    fn encode(&self) -> Vec<u8> {
        let state = match self.state {
            State::Present => 0,
            State::Deleted => 1,
            State::Fresh => 2,
        };
        let mut out = vec![state];
        out.extend(self.last_write.to_le_bytes());
        out.extend(bytes_of(&self.name));
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (state, rest) = bytes.split_first()?;
        let (last_write, name) = rest.split_first_chunk()?;
        let state = match state {
            0 => State::Present,
            1 => State::Deleted,
            2 => State::Fresh,
            _ => return None,
        };
        Some(Self { state, last_write: i64::from_le_bytes(*last_write), name: units(name) })
    }
}

impl ValueRecord {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.deleted)];
        out.extend(self.value.kind.to_le_bytes());
        out.extend(u32::try_from(self.value.name.len()).unwrap_or(0).to_le_bytes());
        out.extend(bytes_of(&self.value.name));
        out.extend(&self.value.data);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (deleted, rest) = bytes.split_first()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (name, data) = rest.split_at_checked(2 * u32::from_le_bytes(*len) as usize)?;
        let value = Value { name: units(name), kind: u32::from_le_bytes(*kind), data: data.to_vec() };
        Some(Self { deleted: *deleted != 0, value })
    }
}

fn open(folder: &Path) -> heed::Result<Open> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_SIZE).max_readers(512);
    // SAFETY: the file is changed through LMDB alone, and opened once in this process.
    let env = unsafe { options.open(folder) }?;
    // Readers that were killed must not keep pages from being used again.
    env.clear_stale_readers()?;
    let mut txn = env.write_txn()?;
    let records = env.create_database(&mut txn, None)?;
    txn.commit()?;
    Ok(Open { env, records })
}

impl Store {
    /// Opens the database if it exists; whether it is open.
    pub(super) fn open(&self, state: &Path) -> bool {
        if self.open.get().is_some() {
            return true;
        }
        let folder = state.join(FOLDER);
        folder.join("data.mdb").exists() && self.start(&folder).is_ok()
    }

    /// Opens the database, and creates it if need be.
    pub(super) fn create(&self, state: &Path) -> Result<()> {
        if self.open.get().is_some() {
            return Ok(());
        }
        let folder = state.join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        self.start(&folder)
    }

    fn start(&self, folder: &Path) -> Result<()> {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.open.get().is_none() {
            let opened = open(folder).map_err(|e| failed(&e))?;
            self.open.get_or_init(|| opened);
        }
        Ok(())
    }

    fn get(&self) -> Result<&Open> {
        self.open.get().ok_or(Status(f::STATUS_REGISTRY_IO_FAILED))
    }

    fn read<T>(&self, work: impl FnOnce(&Records, &RoTxn<'_>) -> heed::Result<T>) -> Result<T> {
        let open = self.get()?;
        let read = || work(&open.records, &*open.env.read_txn()?);
        read().map_err(|e| failed(&e))
    }

    fn write<T>(&self, work: impl FnOnce(&Records, &mut heed::RwTxn<'_>) -> heed::Result<T>) -> Result<T> {
        let open = self.get()?;
        let write = || {
            let mut txn = open.env.write_txn()?;
            let done = work(&open.records, &mut txn)?;
            txn.commit()?;
            Ok(done)
        };
        write().map_err(|e| failed(&e))
    }

    pub(super) fn key(&self, parent: &[u16], name: &[u16]) -> Result<Option<KeyRecord>> {
        let at = address(parent, KEY, name);
        self.read(|db, txn| Ok(db.get(txn, &at)?.and_then(KeyRecord::decode)))
    }

    pub(super) fn keys(&self, parent: &[u16]) -> Result<Vec<KeyRecord>> {
        let prefix = prefix(parent, KEY);
        self.read(|db, txn| {
            let found = db.prefix_iter(txn, &prefix)?;
            found.filter_map(|r| r.map(|(_, bytes)| KeyRecord::decode(bytes)).transpose()).collect()
        })
    }

    pub(super) fn put_key(&self, parent: &[u16], name: &[u16], record: &KeyRecord) -> Result<()> {
        let at = address(parent, KEY, name);
        self.write(|db, txn| db.put(txn, &at, &record.encode()))
    }

    pub(super) fn value(&self, path: &[u16], name: &[u16]) -> Result<Option<ValueRecord>> {
        let at = address(path, VALUE, name);
        self.read(|db, txn| Ok(db.get(txn, &at)?.and_then(ValueRecord::decode)))
    }

    pub(super) fn values(&self, path: &[u16]) -> Result<Vec<ValueRecord>> {
        let prefix = prefix(path, VALUE);
        self.read(|db, txn| {
            let found = db.prefix_iter(txn, &prefix)?;
            found.filter_map(|r| r.map(|(_, bytes)| ValueRecord::decode(bytes)).transpose()).collect()
        })
    }

    pub(super) fn put_value(&self, path: &[u16], name: &[u16], record: &ValueRecord) -> Result<()> {
        let at = address(path, VALUE, name);
        self.write(|db, txn| db.put(txn, &at, &record.encode()))
    }

    /// Removes all records of a key's values.
    pub(super) fn forget_values(&self, path: &[u16]) -> Result<()> {
        let prefix = prefix(path, VALUE);
        self.write(|db, txn| {
            let found = db.prefix_iter(txn, &prefix)?;
            let all: Vec<Vec<u8>> =
                found.map(|r| r.map(|(key, _)| key.to_vec())).collect::<heed::Result<_>>()?;
            for key in all {
                db.delete(txn, &key)?;
            }
            Ok(())
        })
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.get()?.env.force_sync().map_err(|e| failed(&e))
    }
}

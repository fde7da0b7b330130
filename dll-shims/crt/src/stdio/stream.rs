//! Finding and locking streams. Each `FILE` has a record here with its lock; the standard ones and those that `fopen` gives out
//! first lie in `_iob`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError, RwLock};

use transom_cpu::leaf::{Leaf, value};
use transom_sdk::{Crt, CrtError, Cx, Func, GuestData, Machine, Ptr, data, shim};

use super::buffer;
use super::file::{File, IOB_COUNT, READ, SIZE, WRITE};
use crate::io;
use crate::rt::errno::{EINVAL, EMFILE};
use crate::rt::globals::{self, Var};

/// A lock that its holder may take again (`_lock_file`): the holder may be guest code.
#[derive(Debug, Default)]
pub struct Recursive {
    /// 0 free, 1 held, 2 held with waiters.
    state: AtomicU32,
    owner: AtomicU32,
    depth: AtomicU32,
    waiting: Mutex<()>,
    freed: Condvar,
}

impl Recursive {
    /// Takes the lock for a thread, or takes it once more.
    pub fn lock(&self, thread: u32) {
        if self.owner.load(Ordering::Relaxed) == thread {
            self.depth.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.state.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            let mut guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while self.state.swap(2, Ordering::Acquire) != 0 {
                guard = self.freed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
        }
        self.owner.store(thread, Ordering::Relaxed);
        self.depth.store(1, Ordering::Relaxed);
    }

    /// Takes the lock if no other thread has it.
    #[must_use]
    pub fn try_lock(&self, thread: u32) -> bool {
        if self.owner.load(Ordering::Relaxed) == thread
            || self.state.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            if self.owner.swap(thread, Ordering::Relaxed) == thread {
                self.depth.fetch_add(1, Ordering::Relaxed);
            } else {
                self.depth.store(1, Ordering::Relaxed);
            }
            return true;
        }
        false
    }

    /// Gives the lock back once.
    pub fn unlock(&self, thread: u32) {
        if self.owner.load(Ordering::Relaxed) != thread || self.depth.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        self.owner.store(0, Ordering::Relaxed);
        if self.state.swap(0, Ordering::Release) == 2 {
            let _guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.freed.notify_one();
        }
    }
}

/// What the host knows of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) at: u64,
    lock: Recursive,
    /// Whether the `FILE` is in use.
    open: AtomicBool,
    /// Bytes of the file that the buffer's contents took, for `ftell` in text mode.
    pub(crate) raw: AtomicI64,
    /// Narrow file to remove when the stream closes (`tmpfile`).
    pub(crate) temporary: Mutex<Option<Vec<u16>>>,
}

/// All streams.
#[derive(Default)]
struct Streams {
    /// `_iob`: its address, and its streams, which stay where they are and so are found without a lock.
    iob: OnceLock<(u64, Vec<&'static Stream>)>,
    list: RwLock<Vec<&'static Stream>>,
    opening: Mutex<()>,
    maximum: AtomicU32,
    abandoned: AtomicBool,
}

impl Stream {
    fn new(at: u64, open: bool) -> &'static Self {
        Box::leak(Box::new(Self {
            at,
            lock: Recursive::default(),
            open: AtomicBool::new(open),
            raw: AtomicI64::new(0),
            temporary: Mutex::new(None),
        }))
    }
}

/// A locked stream. The lock goes with the value, so a shim that ends with an error has given it back.
pub(crate) struct Locked<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) file: File,
    pub(crate) stream: &'static Stream,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.stream.lock.unlock(self.cx.thread_id());
    }
}

fn size(cx: &Cx) -> u64 {
    SIZE[usize::from(cx.is_64())]
}

/// Address of `_iob`, whose first three streams are made on first use.
pub(crate) fn iob(cx: &Cx) -> Crt<u64> {
    let streams = cx.state::<Streams>();
    if let Some((at, _)) = streams.iob.get() {
        return Ok(*at);
    }
    let (at, _) = globals::place(cx, Var::Iob, size(cx) * IOB_COUNT)?;
    let _opening = streams.opening.lock().unwrap_or_else(PoisonError::into_inner);
    if streams.iob.get().is_none() {
        let mut list = streams.list.write().unwrap_or_else(PoisonError::into_inner);
        for i in 0..IOB_COUNT {
            let file = File::new(cx, at + i * size(cx));
            if i < 3 {
                let number = i32::try_from(i).unwrap_or(0);
                let descriptor = if io::get(cx, number).is_ok() { number } else { -2 };
                file.reset(if i == 0 { READ } else { WRITE }, descriptor)?;
            }
            list.push(Stream::new(file.at, i < 3));
        }
        cx.process().on_exit(|cx| {
            if !cx.state::<Streams>().abandoned.load(Ordering::Relaxed) {
                buffer::flush_all(cx);
            }
        });
        let _ = streams.iob.set((at, list.clone()));
    }
    Ok(at)
}

/// The record of the stream at `at`.
fn find(cx: &Cx, at: u64) -> Crt<&'static Stream> {
    let streams = cx.state::<Streams>();
    let in_iob = streams.iob.get().and_then(|(first, all)| {
        let index = usize::try_from(at.checked_sub(*first)? / size(cx)).ok()?;
        all.get(index).copied().filter(|s| s.at == at)
    });
    let found = match in_iob {
        Some(stream) => Some(stream),
        None => {
            iob(cx)?;
            let list = streams.list.read().unwrap_or_else(PoisonError::into_inner);
            list.iter().find(|s| s.at == at).copied()
        }
    };
    found.filter(|s| s.open.load(Ordering::Relaxed)).ok_or(CrtError::Errno(EINVAL))
}

/// Locks the stream at `at`. NULL and what is not an open stream is an invalid parameter.
pub(crate) fn lock(cx: &Cx, at: Ptr<u8>) -> Crt<Locked<'_>> {
    let stream = find(cx, at.addr()).map_err(|_| crate::rt::invalid::invalid(cx, EINVAL))?;
    stream.lock.lock(cx.thread_id());
    Ok(Locked { cx, file: File::new(cx, stream.at), stream })
}

/// All open streams.
pub(crate) fn all(cx: &Cx) -> Vec<u64> {
    let list = cx.state::<Streams>().list.read().unwrap_or_else(PoisonError::into_inner);
    list.iter().filter(|s| s.open.load(Ordering::Relaxed)).map(|s| s.at).collect()
}

/// Locks a stream that is known to exist, without the invalid parameter handler.
pub(crate) fn lock_quietly(cx: &Cx, at: u64) -> Option<Locked<'_>> {
    let stream = find(cx, at).ok()?;
    stream.lock.try_lock(cx.thread_id()).then(|| Locked { cx, file: File::new(cx, stream.at), stream })
}

/// A free `FILE`, marked as open.
pub(crate) fn take(cx: &Cx) -> Crt<&'static Stream> {
    iob(cx)?;
    let streams = cx.state::<Streams>();
    let _opening = streams.opening.lock().unwrap_or_else(PoisonError::into_inner);
    let mut list = streams.list.write().unwrap_or_else(PoisonError::into_inner);
    let stream = match list.iter().find(|s| !s.open.load(Ordering::Relaxed)) {
        Some(free) => *free,
        None if list.len() >= maximum(streams) => return Err(CrtError::Errno(EMFILE)),
        None => {
            let stream = Stream::new(globals::allocate(cx, size(cx) + 16)?, false);
            list.push(stream);
            stream
        }
    };
    stream.open.store(true, Ordering::Relaxed);
    Ok(stream)
}

fn maximum(streams: &Streams) -> usize {
    match streams.maximum.load(Ordering::Relaxed) {
        0 => 512,
        n => usize::try_from(n).unwrap_or(512),
    }
}

/// Marks a stream's `FILE` as free.
pub(crate) fn release(stream: &Stream) {
    stream.open.store(false, Ordering::Relaxed);
}

/// Lets go of what is still in buffers: `_exit` does not write it.
pub(crate) fn abandon(cx: &Cx) {
    cx.state::<Streams>().abandoned.store(true, Ordering::Relaxed);
}

/// A standard stream: 0 to 2.
pub(crate) fn standard(cx: &Cx, index: u32) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(iob(cx)? + u64::from(index) * size(cx)))
}

/// The array of msvcrt's first 20 streams.
#[derive(Debug)]
pub(crate) struct IobArray;

impl GuestData for IobArray {
    const SIZE: [usize; 2] = [32 * 20, 48 * 20];
    const ALIGN: [usize; 2] = [4, 8];

    fn load(_at: u64, _wide: bool) -> Result<Self, transom_sdk::BadAddress> {
        Ok(Self)
    }

    fn store(&self, _at: u64, _wide: bool) -> Result<(), transom_sdk::BadAddress> {
        Ok(())
    }
}

/// The first 20 streams, standard input, output and error before all.
#[data(msvcrt)]
fn _iob(cx: &Cx, at: Ptr<IobArray>) {
    globals::adopt(cx, Var::Iob, at.addr(), cx.size_of::<IobArray>());
    // A failure here comes back at the first use of a stream.
    let _ = iob(cx);
}

fn iob_leaf(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    value::constant(machine, at, Cx::with_current(|cx| iob(cx).ok())??)
}

/// The address of the first stream.
#[shim(msvcrt(__iob_func, __p__iob), leaf = iob_leaf)]
fn __iob_func(cx: &Cx) -> Crt<Ptr<u8>> {
    standard(cx, 0)
}

/// The address of a standard stream.
#[shim(ucrtbase)]
fn __acrt_iob_func(cx: &Cx, index: u32) -> Crt<Ptr<u8>> {
    standard(cx, index)
}

/// Locks a stream for the calling thread.
#[shim(msvcrt, ucrtbase)]
fn _lock_file(cx: &Cx, stream: Ptr<u8>) -> Crt<()> {
    find(cx, stream.addr())?.lock.lock(cx.thread_id());
    Ok(())
}

/// Unlocks a stream.
#[shim(msvcrt, ucrtbase)]
fn _unlock_file(cx: &Cx, stream: Ptr<u8>) -> Crt<()> {
    find(cx, stream.addr())?.lock.unlock(cx.thread_id());
    Ok(())
}

/// Retrieves the addresses of a stream's buffer fields.
#[shim(ucrtbase, fails = 22)]
fn _get_stream_buffer_pointers(
    cx: &Cx,
    stream: Ptr<u8>,
    base: Ptr<Func>,
    pointer: Ptr<Func>,
    count: Ptr<Func>,
) -> Crt<i32> {
    let fields = File::new(cx, find(cx, stream.addr())?.at).fields();
    for (to, field) in [base, pointer, count].into_iter().zip(fields) {
        to.write_opt(cx, Func(field))?;
    }
    Ok(0)
}

/// The most streams that may be open at a time.
#[shim(msvcrt, ucrtbase)]
fn _getmaxstdio(cx: &Cx) -> u32 {
    u32::try_from(maximum(cx.state::<Streams>())).unwrap_or(512)
}

/// Sets the most streams that may be open at a time, 20 to 8192.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _setmaxstdio(cx: &Cx, count: i32) -> Crt<i32> {
    let wanted = u32::try_from(count).ok().filter(|n| (20..=8192).contains(n));
    let wanted = wanted.ok_or_else(|| crate::rt::invalid::invalid(cx, EINVAL))?;
    cx.state::<Streams>().maximum.store(wanted, Ordering::Relaxed);
    Ok(count)
}

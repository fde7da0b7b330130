//! A virtual processor: one Unicorn instance with its hooks and caches.
//!
//! Every host stack that runs guest code (a thread's, a fiber's) has a processor of its own while it does; finished ones
//! are kept and used again, translations and all. Processors are never freed, so a pointer to one stays good.

use core::cell::{Cell, RefCell, UnsafeCell};
use core::ffi::{c_int, c_void};
use core::ops::RangeInclusive;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use transom_cpu::block::ThreadBlock;
use transom_cpu::engine::{Access, Fault, Host};
use transom_cpu::thunk::ThunkTable;
use unicorn_engine_sys::{
    ControlType, HookType, MemType, Prot, TlbEntry, TlbType, uc_ctl, uc_emu_stop, uc_engine, uc_error,
    uc_hook_add, uc_mem_map_ptr, uc_open,
};

use crate::changes::{Change, Changes, Kind, News};
use crate::isa::{Cpu, Isa};
use crate::registers::Registers;
use crate::services;

/// The guest's address space: all that a Linux process can have, mapped to itself. Page 0 is never mapped.
const SPACE: core::ops::Range<u64> = 0x1000..0x7FFF_FFFF_F000;
/// Its start, as a host pointer.
const SPACE_START: *mut c_void = core::ptr::with_exposed_provenance_mut(0x1000);
/// Size of a processor's cache of translated code, in bytes. Reserved; touched as it fills.
const CODE_CACHE: u32 = 64 << 20;
/// Size of the pages of the TLB.
const PAGE_SHIFT: u32 = 12;
/// Most pages whose code is dropped one by one.
const MOST_PAGES: usize = 64;
/// After how many misses a TLB first gets a chance to grow, and last. The TLB starts with 256 entries.
const FIRST_GROWTH: u32 = 512;
const LAST_GROWTH: u32 = 1 << 16;

/// Why a processor left translated code for good.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It did not; Unicorn stopped it for a reason of its own (a fault, or because another thread wants to run).
    None,
    /// The guest function returned.
    Returned,
    /// The guest faulted.
    Fault(Fault),
    /// A shim unwinds.
    Unwind(crate::services::Payload),
}

/// An access that the TLB hook refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub access: Access,
    /// The page's permissions allow it, but the page cannot be read.
    pub in_page: bool,
}

/// A virtual processor. Used by the holder of the baton only.
pub(crate) struct Vm {
    pub cpu: Cpu,
    pub host: &'static dyn Host,
    pub thunks: &'static ThunkTable,
    pub shared: &'static crate::Shared,
    /// The thread that runs on it.
    pub block: Cell<*mut ThreadBlock>,
    /// Set by a hook before it stops Unicorn.
    pub stop: RefCell<Stop>,
    /// How many runs are nested on it.
    pub depth: Cell<u32>,
    /// The access that the TLB hook refused last.
    pub refused: Cell<Refused>,
    /// The instruction that is being executed, if there is an observer.
    pub pc: Cell<u64>,
    /// Changes of memory that were taken into account.
    seen: Cell<u64>,
    /// Pages that may be in the TLB, and pages from which code may have been translated.
    cached: UnsafeCell<Pages>,
    translated: UnsafeCell<Pages>,
    /// TLB misses since the TLB was last emptied, and how many shall empty it next (see [`Vm::count_miss`]).
    misses: Cell<u32>,
    grow_at: Cell<u32>,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm").field("cpu", &self.cpu).field("depth", &self.depth).finish_non_exhaustive()
    }
}

fn check(what: &str, result: uc_error) -> Result<(), String> {
    Result::<(), _>::from(result).map_err(|e| format!("Unicorn: {what}: {e}"))
}

/// A control request with `count` arguments to write.
const fn request(kind: ControlType, count: u32) -> ControlType {
    ControlType(kind.0 | count << 26 | 1 << 30)
}

impl Vm {
    /// Makes a processor. One at a time: the caller holds the lock on the idle ones.
    pub(crate) fn create<I: Isa>(
        host: &'static dyn Host,
        shared: &'static crate::Shared,
    ) -> Result<&'static Self, String> {
        let _small_pages = SmallPages::new();
        let mut uc: *mut uc_engine = core::ptr::null_mut();
        // SAFETY: `uc` is written on success; the control requests have the arguments that their kinds take.
        unsafe {
            check("open", uc_open(I::ARCH, I::MODE, &raw mut uc))?;
            check("processor model", uc_ctl(uc, request(ControlType::CPU_MODEL, 1), I::MODEL))?;
            check("code cache", uc_ctl(uc, request(ControlType::TCG_BUFFER_SIZE, 1), CODE_CACHE))?;
            check("TLB mode", uc_ctl(uc, request(ControlType::TLB_TYPE, 1), TlbType::VIRTUAL as c_int))?;
            check("map", uc_mem_map_ptr(uc, SPACE.start, SPACE.end - SPACE.start, Prot::ALL.0, SPACE_START))?;
        }
        let regs = Registers::locate(uc, &I::LAYOUT)?;
        let cpu = Cpu { uc, regs };
        I::initialise(cpu, shared.support)?;
        let vm: &'static Self = Box::leak(Box::new(Self {
            cpu,
            host,
            thunks: host.thunks(),
            shared,
            block: Cell::new(core::ptr::null_mut()),
            stop: RefCell::new(Stop::None),
            depth: Cell::new(0),
            refused: Cell::new(Refused { access: Access::Read, in_page: false }),
            pc: Cell::new(0),
            seen: Cell::new(shared.changes.count()),
            cached: UnsafeCell::default(),
            translated: UnsafeCell::default(),
            misses: Cell::new(0),
            grow_at: Cell::new(FIRST_GROWTH),
        }));
        vm.hook(HookType::INTR, crate::run::interrupt::<I> as *mut c_void)?;
        vm.hook(HookType::TLB_FILL, fill_tlb as *mut c_void)?;
        if let Some(observer) = host.observer() {
            crate::observe::install::<I>(vm, observer)?;
        }
        Ok(vm)
    }

    pub(crate) fn hook(&'static self, kind: HookType, function: *mut c_void) -> Result<(), String> {
        let mut handle = 0;
        let this: *const Self = self;
        // SAFETY: the function has the signature of its kind of hook; the range 1..0 means everywhere.
        let result = unsafe {
            uc_hook_add(
                self.cpu.uc,
                &raw mut handle,
                kind.0.cast_signed(),
                function,
                this.cast_mut().cast(),
                1u64,
                0u64,
            )
        };
        check("hook", result)
    }

    /// The processor's name for the baton.
    pub(crate) fn owner(&self) -> usize {
        core::ptr::from_ref(self).expose_provenance()
    }

    /// Asks the processor to leave translated code. From a hook, at once; from another thread, at the next block boundary.
    pub(crate) fn halt(&self) {
        // SAFETY: the instance lives as long as the process. Unicorn means this function to be called from other threads.
        let result = unsafe { uc_emu_stop(self.cpu.uc) };
        debug_assert_eq!(result, uc_error::OK);
    }

    /// Leaves translated code for this reason. From a hook.
    pub(crate) fn halt_for(&self, reason: Stop) {
        *self.stop.borrow_mut() = reason;
        self.halt();
    }

    /// Takes notice of changed memory. The processor is not running translated code.
    #[inline]
    pub(crate) fn catch_up(&self, changes: &Changes) {
        if self.seen.get() != changes.count() {
            self.apply(changes);
        }
    }

    /// Counts a miss. QEMU adapts the size of a TLB to its use, but only when it is emptied, and in user programs nothing
    /// empties it: a working set of more than a megabyte would miss for ever. So a few rounds of misses empty it.
    fn count_miss(&self) {
        let misses = self.misses.get() + 1;
        self.misses.set(misses);
        if misses == self.grow_at.get() {
            self.misses.set(0);
            self.grow_at.set(if misses < LAST_GROWTH { misses * 2 } else { u32::MAX });
            // SAFETY: the request takes no arguments. Inside the TLB hook, after which QEMU looks entries up afresh because
            // filling may move them.
            unsafe { uc_ctl(self.cpu.uc, request(ControlType::TLB_FLUSH, 0)) };
        }
    }

    #[cold]
    fn apply(&self, changes: &Changes) {
        let (news, count) = changes.since(self.seen.get());
        self.seen.set(count);
        let News::Some(all) = news else {
            self.forget_everything();
            return;
        };
        // SAFETY: the holder of the baton is the only user, and the references end before anything calls the TLB hook,
        // which inserts.
        let (flush_tlb, rewritten) = unsafe {
            let (cached, translated) = (&*self.cached.get(), &*self.translated.get());
            let flush_tlb = all.iter().any(|c| c.kind == Kind::Mapping && touches(cached, c));
            let touched = all.iter().any(|c| touches(translated, c));
            let rewritten: Vec<u64> = if touched {
                let changed = |page: &&u64| all.iter().any(|c| c.pages().is_some_and(|r| r.contains(page)));
                translated.iter().filter(changed).copied().collect()
            } else {
                Vec::new()
            };
            (flush_tlb, rewritten)
        };
        if rewritten.len() > MOST_PAGES {
            self.forget_everything();
            return;
        }
        if flush_tlb {
            self.empty_tlb();
        }
        for page in rewritten {
            self.drop_code(page << PAGE_SHIFT);
        }
    }

    fn empty_tlb(&self) {
        // SAFETY: the request takes no arguments; the holder of the baton is the set's only user.
        unsafe {
            uc_ctl(self.cpu.uc, request(ControlType::TLB_FLUSH, 0));
            (*self.cached.get()).clear();
        }
        if self.misses.replace(0) < self.grow_at.get() / 4 {
            // Hardly used, so it may have shrunk.
            self.grow_at.set(FIRST_GROWTH);
        }
    }

    /// Drops the translations of a page's code. Those of a page that is not executable cannot be reached; the page stays
    /// among the translated ones and comes here again with the change that makes it executable.
    fn drop_code(&self, page: u64) {
        if self.host.permissions(page).is_some_and(|p| p.execute) {
            // SAFETY: the request takes two addresses. The first is of an executable page, as QEMU needs to find it.
            unsafe {
                uc_ctl(self.cpu.uc, request(ControlType::TB_REMOVE_CACHE, 2), page, page + (1 << PAGE_SHIFT))
            };
        }
    }

    fn forget_everything(&self) {
        self.empty_tlb();
        // SAFETY: as in `empty_tlb`. With an empty TLB every page comes by the hook again.
        unsafe {
            uc_ctl(self.cpu.uc, request(ControlType::TB_FLUSH, 0));
            (*self.translated.get()).clear();
        }
    }
}

/// No huge pages for this process while it lives. Unicorn asks for huge pages for its code cache and touches the first byte
/// of it: clearing 2 MiB is two thirds of what it takes to make a processor. Later parts of the cache get them.
struct SmallPages {
    was_off: bool,
}

impl SmallPages {
    fn new() -> Self {
        // SAFETY: plain requests about the calling process.
        let was_off = unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) } != 0;
        if !was_off {
            Self::set(1);
        }
        Self { was_off }
    }

    fn set(off: libc::c_ulong) {
        // SAFETY: as above. Refusal costs time only.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, off, 0, 0, 0) };
    }
}

impl Drop for SmallPages {
    fn drop(&mut self) {
        if !self.was_off {
            Self::set(0);
        }
    }
}

/// A set of page numbers.
type Pages = HashSet<u64, BuildHasherDefault<PageHasher>>;

/// Spreads page numbers: one multiplication.
#[derive(Default)]
struct PageHasher(u64);

impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}

impl Change {
    /// The pages that it touches, if any.
    fn pages(&self) -> Option<RangeInclusive<u64>> {
        let last = self.start.saturating_add(self.len.checked_sub(1)?);
        Some(self.start >> PAGE_SHIFT..=last >> PAGE_SHIFT)
    }
}

/// Whether a change touches any of the pages.
fn touches(pages: &Pages, change: &Change) -> bool {
    let Some(range) = change.pages() else { return false };
    if range.end() - range.start() < pages.len() as u64 {
        range.into_iter().any(|page| pages.contains(&page))
    } else {
        pages.iter().any(|page| range.contains(page))
    }
}

/// Unicorn's TLB hook: the identity, with the page's true permissions. Data pages are never executable, so that stores
/// to them need not look for translated code.
unsafe extern "C" fn fill_tlb(
    _uc: *mut uc_engine,
    page: u64,
    kind: MemType,
    entry: *mut TlbEntry,
    data: *mut c_void,
) -> bool {
    // SAFETY: the processor that was registered with the hook.
    let vm = unsafe { &*data.cast::<Vm>() };
    let access = match kind {
        MemType::WRITE => Access::Write,
        MemType::FETCH => Access::Execute,
        _ => Access::Read,
    };
    let permissions = if SPACE.contains(&page) { vm.host.permissions(page) } else { None };
    let allowed = permissions.is_some_and(|p| match access {
        Access::Read => p.read,
        Access::Write => p.write,
        Access::Execute => p.execute,
    });
    let (Some(p), true) = (permissions, allowed) else {
        vm.refused.set(Refused { access, in_page: false });
        return false;
    };
    // Memory that should be there and is not (a mapped file that was cut short) is the guest's fault here, and Transom's own
    // crash later. Stores are not tried: reading first would make a fresh page fault twice.
    if access != Access::Write && services::read::<1>(page).is_err() {
        vm.refused.set(Refused { access, in_page: true });
        return false;
    }
    vm.count_miss();
    let page_number = page >> PAGE_SHIFT;
    // SAFETY: the holder of the baton is the only user, and `apply` does not run while this does.
    unsafe {
        (*vm.cached.get()).insert(page_number);
        if access == Access::Execute {
            (*vm.translated.get()).insert(page_number);
        }
        entry.write(TlbEntry {
            paddr: page,
            perms: Prot(
                Prot::READ.0 * u32::from(p.read)
                    + Prot::WRITE.0 * u32::from(p.write)
                    + Prot::EXEC.0 * u32::from(p.execute),
            ),
        });
    }
    true
}

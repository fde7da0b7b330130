//! `--minidump`: when an exception ends the program, a file that debuggers for Windows open (documentation: minidumpapiset).
//!
//! It holds the system, the modules, all threads with their registers and stacks, what the stacks' memory is, the exception, and
//! the code around it. Other threads are stopped while they are looked at; one that cannot be (it is about to end) is left out.

use std::fs;
use std::path::Path;

use transom_cpu::context::Context;
use transom_loader::modules::{Kind, Module};
use transom_sdk::{Cx, Machine, Record, mem};
use windows_sys::Win32::System::Diagnostics::Debug as d;
use windows_sys::Win32::System::SystemInformation as s;
use windows_sys::Win32::System::SystemServices::VER_NT_WORKSTATION;

/// The most of a stack that is kept.
const STACK: u64 = 1 << 20;
/// Bytes of code kept on either side of the program counter.
const CODE: u64 = 256;

/// The file while it grows: structures lie one behind the other, and refer to each other by position.
#[derive(Default)]
struct Dump {
    bytes: Vec<u8>,
    streams: Vec<(i32, u32, u32)>,
    /// Memory: start, size, position.
    memory: Vec<(u64, u32, u32)>,
}

impl Dump {
    fn position(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    /// Bytes at the next multiple of 8; their position.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.zeros(self.bytes.len().next_multiple_of(8) - self.bytes.len());
        let at = self.position();
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// A MINIDUMP_STRING.
    fn string(&mut self, units: &[u16]) -> u32 {
        let at = self.put(&u32::try_from(units.len() * 2).unwrap_or(0).to_le_bytes());
        for unit in units.iter().chain(&[0]) {
            self.u16(*unit);
        }
        at
    }

    /// A stream, written by `fill`.
    fn stream(&mut self, kind: i32, fill: impl FnOnce(&mut Self)) {
        let at = self.put(&[]);
        fill(self);
        self.streams.push((kind, self.position() - at, at));
    }

    /// A range of guest memory, as far as it can be read; its position.
    fn range(&mut self, start: u64, size: u64) -> (u64, u32, u32) {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        if mem::copy_in(start, &mut bytes).is_err() {
            bytes.clear();
        }
        let at = self.put(&bytes);
        let range = (start, u32::try_from(bytes.len()).unwrap_or(0), at);
        if !bytes.is_empty() {
            self.memory.push(range);
        }
        range
    }

    /// The file: the header and the directory of streams come first, so all positions move by their size.
    fn finish(self) -> Vec<u8> {
        let mut out = Self::default();
        out.bytes.extend_from_slice(b"MDMP");
        out.u32(d::MINIDUMP_VERSION);
        out.u32(u32::try_from(self.streams.len()).unwrap_or(0));
        out.u32(HEADER);
        out.u32(0);
        out.u32(seconds());
        out.u64(0);
        for (kind, size, at) in &self.streams {
            out.u32(kind.cast_unsigned());
            out.u32(*size);
            out.u32(*at);
        }
        out.bytes.resize(FRONT, 0);
        out.bytes.extend_from_slice(&self.bytes[FRONT..]);
        out.bytes
    }
}

/// Seconds since 1970.
fn seconds() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

/// Size of the header, behind which the directory lies.
const HEADER: u32 = 32;
/// What header and directory take: room for eight streams, a multiple of 8.
const FRONT: usize = 32 + 8 * 12;

/// Writes a dump of the crash that is being reported.
pub(crate) fn write(path: &Path, cx: &Cx, record: &Record, context: &Context) {
    let mut dump = Dump::default();
    dump.zeros(FRONT);
    system(&mut dump, cx);
    modules(&mut dump, cx);
    let crashed = thread(&mut dump, cx, cx.thread_id(), cx.teb().addr, context);
    exception(&mut dump, cx, record, crashed.registers);
    let all = threads(&mut dump, cx, crashed);
    memory_info(&mut dump, cx, &all);
    dump.range(context.pc().saturating_sub(CODE), 2 * CODE);
    let memory = std::mem::take(&mut dump.memory);
    dump.stream(d::MemoryListStream, |dump| {
        dump.u32(u32::try_from(memory.len()).unwrap_or(0));
        for (start, size, at) in memory {
            dump.u64(start);
            dump.u32(size);
            dump.u32(at);
        }
    });
    dump.stream(d::MiscInfoStream, |dump| {
        dump.u32(24);
        dump.u32(d::MINIDUMP_MISC1_PROCESS_ID);
        dump.u32(std::process::id());
        dump.zeros(12);
    });
    match fs::write(path, dump.finish()) {
        Ok(()) => transom_syscalls::say!("transom: the crash is in {}", path.display()),
        Err(error) => transom_syscalls::say!("transom: {}: {error}", path.display()),
    }
}

/// MINIDUMP_SYSTEM_INFO.
fn system(dump: &mut Dump, cx: &Cx) {
    let name = dump.string(&[]);
    dump.stream(d::SystemInfoStream, |dump| {
        dump.u16(match cx.machine() {
            Machine::Amd64 => s::PROCESSOR_ARCHITECTURE_AMD64,
            Machine::I386 => s::PROCESSOR_ARCHITECTURE_INTEL,
            Machine::Arm64 => s::PROCESSOR_ARCHITECTURE_ARM64,
        });
        // Level, revision.
        dump.u16(6);
        dump.u16(0);
        let processors =
            std::thread::available_parallelism().map_or(1, |n| u8::try_from(n.get()).unwrap_or(255));
        dump.bytes.extend_from_slice(&[processors, u8::try_from(VER_NT_WORKSTATION).unwrap_or(1)]);
        dump.u32(10);
        dump.u32(0);
        dump.u32(transom_syscalls::sysinfo::OS_BUILD);
        // VER_PLATFORM_WIN32_NT.
        dump.u32(2);
        dump.u32(name);
        dump.zeros(4 + 24);
    });
}

/// MINIDUMP_MODULE_LIST.
fn modules(dump: &mut Dump, cx: &Cx) {
    let all: Vec<_> = cx.modules().all().into_iter().map(|m| (dump.string(&m.path), m)).collect();
    dump.stream(d::ModuleListStream, |dump| {
        dump.u32(u32::try_from(all.len()).unwrap_or(0));
        for (name, module) in &all {
            dump.u64(module.base);
            dump.u32(u32::try_from(module.size).unwrap_or(u32::MAX));
            let (checksum, stamp) = stamps(module);
            dump.u32(checksum);
            dump.u32(stamp);
            dump.u32(*name);
            // Version, CodeView and miscellaneous records: none.
            dump.zeros(52 + 8 + 8 + 16);
        }
    });
}

/// A module's checksum and date, by which debuggers find its symbols.
fn stamps(module: &Module) -> (u32, u32) {
    match (&module.kind, module.headers()) {
        (Kind::Image(_), Some(headers)) => (headers.checksum, headers.time_date_stamp),
        _ => (0, 0),
    }
}

/// A thread as it lies in the file.
struct Thread {
    id: u32,
    teb: u64,
    /// Start, size, position.
    stack: (u64, u32, u32),
    /// Size, position.
    registers: (u32, u32),
}

/// Puts a thread's registers and stack into the file.
fn thread(dump: &mut Dump, cx: &Cx, id: u32, teb: u64, context: &Context) -> Thread {
    let registers = (u32::try_from(context.bytes().len()).unwrap_or(0), dump.put(context.bytes()));
    // NT_TIB.StackBase.
    let base = if cx.is_64() {
        mem::read::<u64>(teb + 8).unwrap_or(0)
    } else {
        mem::read::<u32>(teb + 4).unwrap_or(0).into()
    };
    let stack = dump.range(context.sp(), base.saturating_sub(context.sp()).min(STACK));
    Thread { id, teb, stack, registers }
}

/// MINIDUMP_THREAD_LIST: the thread that crashed, then the others.
fn threads(dump: &mut Dump, cx: &Cx, crashed: Thread) -> Vec<Thread> {
    let mut all = vec![crashed];
    for other in transom_syscalls::thread::list().into_iter().filter(|t| t.id() != cx.thread_id()) {
        let looked = cx.process().with_registers(&other, |context| {
            let teb = cx.process().teb_of(&other).unwrap_or(0);
            Ok((thread(dump, cx, other.id(), teb, &context), None))
        });
        match looked {
            Ok(thread) => all.push(thread),
            Err(status) => log::debug!("thread {} is not in the dump: {status:?}", other.id()),
        }
    }
    dump.stream(d::ThreadListStream, |dump| {
        dump.u32(u32::try_from(all.len()).unwrap_or(0));
        for thread in &all {
            dump.u32(thread.id);
            // Suspend count, priority class, priority.
            dump.zeros(12);
            dump.u64(thread.teb);
            let (start, size, at) = thread.stack;
            dump.u64(start);
            dump.u32(size);
            dump.u32(at);
            dump.u32(thread.registers.0);
            dump.u32(thread.registers.1);
        }
    });
    all
}

/// MINIDUMP_MEMORY_INFO_LIST, of the allocations that hold the stacks.
fn memory_info(dump: &mut Dump, cx: &Cx, threads: &[Thread]) {
    let mut regions = Vec::new();
    for thread in threads {
        let Ok(first) = cx.memory().query(thread.stack.0) else { continue };
        let mut at = first.allocation_base;
        while let Ok(region) = cx.memory().query(at)
            && region.allocation_base == first.allocation_base
            && region.size > 0
        {
            at = region.base + region.size;
            regions.push(region);
        }
    }
    dump.stream(d::MemoryInfoListStream, |dump| {
        dump.u32(16);
        dump.u32(48);
        dump.u64(regions.len() as u64);
        for r in &regions {
            dump.u64(r.base);
            dump.u64(r.allocation_base);
            dump.u32(r.allocation_protect);
            dump.u32(0);
            dump.u64(r.size);
            dump.u32(r.state);
            dump.u32(r.protect);
            dump.u32(r.kind);
            dump.u32(0);
        }
    });
}

/// MINIDUMP_EXCEPTION_STREAM.
fn exception(dump: &mut Dump, cx: &Cx, record: &Record, registers: (u32, u32)) {
    dump.stream(d::ExceptionStream, |dump| {
        dump.u32(cx.thread_id());
        dump.u32(0);
        dump.u32(record.code);
        dump.u32(record.flags);
        dump.u64(record.nested);
        dump.u64(record.address);
        dump.u32(u32::try_from(record.parameters.len()).unwrap_or(0));
        dump.u32(0);
        for i in 0..15 {
            dump.u64(record.parameters.get(i).copied().unwrap_or(0));
        }
        dump.u32(registers.0);
        dump.u32(registers.1);
    });
}

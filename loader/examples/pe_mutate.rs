//! Mutates real PE files and walks everything in the result: `pe_mutate FOLDER ITERATIONS SEED [MAX_KIB]`.
//!
//! Seeds are the files under FOLDER of at most MAX_KIB KiB (256 unless given). Each iteration takes one, changes a few
//! places in it (bits, words, header fields, directory tables, splices from other seeds, truncation), parses it and walks all
//! directories, now and then also over a mapped and relocated image. It fails if a walk panics, gives an error of more than one
//! line, takes over a second, or allocates more than it should; the mutated file is then written to the temporary folder.
//! The same seed makes the same files.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use transom_loader::pe::{self, ImageBytes, MappedImageMut, Pe, PeError};

/// Iterations between walks over a mapped image.
const MAP_EVERY: u64 = 64;

/// Images larger than this are not mapped.
const MAP_LIMIT: u32 = 4 << 20;

/// A walk may take so long.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// A walk may allocate this many times the file's size, and a megabyte.
const MEMORY_FACTOR: usize = 16;

/// Counts live bytes, to find walks that allocate by what the file says.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it hands every call on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// SplitMix64: small, fast, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn u32(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

/// A file to mutate, and the offsets in it that matter most.
struct Seed {
    path: PathBuf,
    bytes: Vec<u8>,
    size_of_image: u32,
    header_fields: Vec<usize>,
    directory_fields: Vec<usize>,
}

impl Seed {
    fn new(path: PathBuf, bytes: Vec<u8>) -> Option<Self> {
        let pe = Pe::parse(&bytes).ok()?;
        let headers = pe.headers();
        let nt = headers.nt_headers as usize;
        let end = (headers.size_of_headers as usize).min(bytes.len());
        let mut header_fields: Vec<usize> = (nt..end.min(nt + 0x400)).step_by(4).collect();
        header_fields.push(0x3c);
        let mut directory_fields = Vec::new();
        for directory in headers.directories.iter().filter(|d| d.rva != 0) {
            let Some(range) =
                pe.map_plan().ranges.iter().find(|r| (r.rva..r.rva + r.file_size).contains(&directory.rva))
            else {
                continue;
            };
            let start = usize::try_from(range.file_offset).ok()? + (directory.rva - range.rva) as usize;
            let length = (directory.size as usize).clamp(64, 0x1000);
            directory_fields.extend((start..(start + length).min(bytes.len() - 4)).step_by(4));
        }
        let size_of_image = headers.size_of_image;
        Some(Self { path, size_of_image, header_fields, directory_fields, bytes })
    }
}

/// Files under a folder that parse, up to a size.
fn seeds(folder: &Path, max_size: u64, found: &mut Vec<Seed>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            seeds(&path, max_size, found);
        } else if path.metadata().is_ok_and(|meta| meta.len() <= max_size)
            && let Ok(bytes) = std::fs::read(&path)
        {
            found.extend(Seed::new(path, bytes));
        }
    }
}

/// A seed's bytes, changed, with what it takes to undo that.
struct Patient {
    bytes: Vec<u8>,
    length: usize,
    undo: Vec<(usize, Vec<u8>)>,
}

impl Patient {
    fn put(&mut self, at: usize, new: &[u8]) {
        let Some(old) = self.bytes.get_mut(at..at + new.len()) else { return };
        self.undo.push((at, old.to_vec()));
        old.copy_from_slice(new);
    }

    fn heal(&mut self) {
        while let Some((at, old)) = self.undo.pop() {
            self.bytes[at..at + old.len()].copy_from_slice(&old);
        }
        self.length = self.bytes.len();
    }

    fn file(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A value that is likely to upset a parser.
fn value(random: &mut Random, seed: &Seed, old: u32) -> u32 {
    match random.below(10) {
        0 => *random.pick(&[0, 1, 2, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]),
        1 => 1 << random.below(32),
        2 => {
            u32::try_from(seed.bytes.len()).unwrap_or(u32::MAX).wrapping_add(random.u32() % 9).wrapping_sub(4)
        }
        3 => seed.size_of_image.wrapping_add(random.u32() % 0x2001).wrapping_sub(0x1000),
        4 | 5 => random.u32() % seed.size_of_image.max(1),
        6 => old.wrapping_add(random.u32() % 17).wrapping_sub(8),
        7 => old ^ (1 << random.below(32)),
        8 => random.u32() & 0xffff,
        _ => random.u32(),
    }
}

fn mutate(random: &mut Random, seeds: &[Seed], seed: &Seed, patient: &mut Patient) {
    for _ in 0..1 + random.below(6) {
        let length = patient.bytes.len();
        let field = match random.below(16) {
            0..=4 => *random.pick(&seed.header_fields),
            5..=11 if !seed.directory_fields.is_empty() => *random.pick(&seed.directory_fields),
            12 => {
                let other = &random.pick(seeds).bytes;
                let from = random.below(other.len());
                let count = random.below(256).min(other.len() - from);
                patient.put(random.below(length), &other[from..from + count]);
                continue;
            }
            13 if random.below(8) == 0 => {
                patient.length = random.below(length);
                continue;
            }
            _ => random.below(length),
        };
        let Some(old) = patient.bytes.get(field..).and_then(|tail| tail.first_chunk()) else { continue };
        let new = value(random, seed, u32::from_le_bytes(*old)).to_le_bytes();
        let width = *random.pick(&[1, 2, 4, 4, 4, 4]);
        patient.put(field, &new[..width]);
    }
}

#[derive(Default)]
struct Outcome {
    parsed: bool,
    errors: Vec<PeError>,
}

fn walk(file: &[u8], map: bool) -> Outcome {
    let pe = match Pe::parse(file) {
        Ok(pe) => pe,
        Err(error) => return Outcome { parsed: false, errors: vec![error] },
    };
    let (headers, plan) = (pe.headers(), pe.map_plan());
    let mut errors = pe::survey(&pe.image(), headers).errors;
    if map && plan.size <= MAP_LIMIT {
        let mut memory = vec![0; plan.size as usize];
        for range in &plan.ranges {
            let part = &mut memory[range.rva as usize..(range.rva + range.size) as usize];
            assert_eq!(pe.image().read_at(range.rva, part), part.len(), "a range must be readable");
        }
        let new_base = headers.image_base ^ 0x1_0000;
        let mut image = MappedImageMut::new(&mut memory, headers.image_base);
        errors.extend(pe::relocate(&mut image, headers, new_base).err());
        let image = MappedImageMut::new(&mut memory, new_base);
        errors.extend(pe::survey(&image, headers).errors);
    }
    Outcome { parsed: true, errors }
}

/// How long something takes.
fn takes<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

#[derive(Default)]
struct Totals {
    parsed: u64,
    clean: u64,
    slowest: Duration,
    largest: usize,
    failures: u64,
}

impl Totals {
    fn fail(&mut self, what: &str, iteration: u64, seed: &Seed, file: &[u8]) {
        self.failures += 1;
        let path = std::env::temp_dir().join(format!("pe_mutate_{iteration}.exe"));
        let kept =
            if std::fs::write(&path, file).is_ok() { path.display().to_string() } else { "not kept".into() };
        eprintln!("iteration {iteration} ({}): {what}; file: {kept}", seed.path.display());
    }
}

fn iterate(iteration: u64, seed: &Seed, patient: &Patient, totals: &mut Totals) {
    let live = LIVE.load(Ordering::Relaxed);
    PEAK.store(live, Ordering::Relaxed);
    let map = iteration.is_multiple_of(MAP_EVERY);
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| walk(patient.file(), map)));
    let elapsed = start.elapsed();
    let memory = PEAK.load(Ordering::Relaxed) - live;
    totals.slowest = totals.slowest.max(elapsed);
    let Ok(outcome) = outcome else { return totals.fail("panic", iteration, seed, patient.file()) };
    totals.parsed += u64::from(outcome.parsed);
    totals.clean += u64::from(outcome.errors.is_empty());
    if outcome.errors.iter().any(|error| error.to_string().contains(char::is_control)) {
        totals.fail("an error of more than one line", iteration, seed, patient.file());
    }
    // A busy machine may have taken the processor away once, hardly twice.
    if elapsed > TIME_LIMIT && takes(|| walk(patient.file(), map)) > TIME_LIMIT {
        totals.fail(&format!("took {elapsed:?}"), iteration, seed, patient.file());
    }
    if !map {
        totals.largest = totals.largest.max(memory);
        if memory > MEMORY_FACTOR * patient.length + (1 << 20) {
            totals.fail(&format!("allocated {memory} bytes"), iteration, seed, patient.file());
        }
    }
}

fn run(folder: &Path, iterations: u64, seed: u64, max_size: u64) -> Result<Totals, String> {
    let mut found = Vec::new();
    seeds(folder, max_size, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if found.is_empty() {
        return Err(format!("no PE files of at most {max_size} bytes in {}", folder.display()));
    }
    println!("{} seeds", found.len());
    let mut patients: Vec<Patient> = found
        .iter()
        .map(|seed| Patient { bytes: seed.bytes.clone(), length: seed.bytes.len(), undo: Vec::new() })
        .collect();
    let mut random = Random(seed);
    let mut totals = Totals::default();
    for iteration in 0..iterations {
        let which = random.below(found.len());
        mutate(&mut random, &found, &found[which], &mut patients[which]);
        iterate(iteration, &found[which], &patients[which], &mut totals);
        patients[which].heal();
    }
    Ok(totals)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| args.get(index).map_or(Some(default), |text| text.parse().ok());
    let (Some(folder), Some(iterations), Some(seed), Some(max_kib)) =
        (args.first(), number(1, 100_000), number(2, 1), number(3, 256))
    else {
        eprintln!("usage: pe_mutate FOLDER [ITERATIONS [SEED [MAX_KIB]]]");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let totals = match run(Path::new(folder), iterations, seed, max_kib << 10) {
        Ok(totals) => totals,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let per_second = u128::from(iterations) * 1000 / start.elapsed().as_millis().max(1);
    println!("{iterations} files in {:.1?}, {per_second} per second", start.elapsed());
    println!("{} with good headers, {} without any error", totals.parsed, totals.clean);
    println!("slowest walk {:.1?}, most memory {} KiB", totals.slowest, totals.largest >> 10);
    println!("{} failures", totals.failures);
    if totals.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

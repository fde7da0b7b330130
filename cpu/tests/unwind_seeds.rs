//! The seeds of the fuzz target `unwind` (`loader/fuzz`): one of each kind of unwind data, small.

use std::path::Path;

/// Bits of the input's first byte.
const ARM64: u8 = 1;
const EXCEPTION: u8 = 2;
const STACK: u8 = 8;
/// Where unwind data and code are in the images here.
const INFO: u32 = 0x10;
const CODE: u32 = 0x40;

fn input(mode: u8, position: u8, unwind: u32, info: &[u8], code: &[u8]) -> Vec<u8> {
    let mut out = vec![mode, position];
    out.extend(unwind.to_le_bytes());
    let mut image = [CODE, CODE + 0x20, INFO].map(u32::to_le_bytes).concat();
    image.resize(INFO as usize, 0);
    image.extend(info);
    image.resize(CODE as usize, 0);
    image.extend(code);
    image.resize(CODE as usize + 0x20, 0x90);
    out.extend(image);
    out
}

fn amd64() -> Vec<(&'static str, Vec<u8>)> {
    const MODE: u8 = EXCEPTION | STACK;
    let of = |info: &[u8], position, code: &[u8]| input(MODE, position, INFO, info, code);
    // UNWIND_INFO: version and flags, prolog, count, frame register; then codes (offset, operation and its info), last first.
    let pushes = [1, 6, 3, 0, 6, 0x42, 2, 0x30, 1, 0x50, 0, 0];
    let frame = [1, 8, 3, 0x25, 8, 0x03, 4, 0x72, 1, 0x50, 0, 0];
    let saves = [1, 20, 7, 0, 20, 0x68, 1, 0, 15, 0x34, 6, 0, 10, 0x01, 0x20, 0, 1, 0x30, 0, 0];
    let far = [1, 20, 6, 0, 20, 0x79, 0x10, 0, 1, 0, 10, 0x35, 0x10, 0, 0, 0];
    let chained =
        [[1 | 4 << 3, 0, 0, 0].as_slice(), &[0; 4], &[0x20, 0, 0, 0], &[0x1C, 0, 0, 0], &pushes].concat();
    let handler = [[1 | 3 << 3, 0, 0, 0].as_slice(), &0x1234u32.to_le_bytes()].concat();
    let machine_frame = [1, 0, 1, 0, 0, 0x1A, 0, 0];
    let version2 = [2, 4, 4, 0, 3, 0x16, 0, 0x06, 4, 0x42, 1, 0x30];
    vec![
        ("x86-64-pushes", of(&pushes, 16, &[])),
        ("x86-64-in-the-prolog", of(&pushes, 3, &[])),
        ("x86-64-frame-register", of(&frame, 16, &[])),
        ("x86-64-saves", of(&saves, 24, &[])),
        ("x86-64-far-saves", of(&far, 24, &[])),
        ("x86-64-chained", of(&chained, 16, &[])),
        (
            "x86-64-chained-to-itself",
            of(&[1 | 4 << 3, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0], 16, &[]),
        ),
        ("x86-64-handler", of(&handler, 16, &[])),
        ("x86-64-machine-frame", of(&machine_frame, 16, &[])),
        ("x86-64-version-2", of(&version2, 16, &[])),
        (
            "x86-64-epilog",
            of(
                &pushes,
                8,
                &[0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x48, 0x83, 0xC4, 0x28, 0x5B, 0x5D, 0xC3],
            ),
        ),
        ("x86-64-tail-call", of(&pushes, 0, &[0xE9, 0xFF, 0xFF, 0xFF, 0x7F])),
        ("x86-64-indirect-entry", input(MODE, 16, 1, &pushes, &[])),
        ("x86-64-wild-stack", input(EXCEPTION, 16, INFO, &pushes, &[])),
    ]
}

fn arm64() -> Vec<(&'static str, Vec<u8>)> {
    const MODE: u8 = ARM64 | EXCEPTION | STACK;
    let record = |words: &[u32], codes: &[u8]| {
        input(
            MODE,
            16,
            INFO,
            &[words.iter().flat_map(|w| w.to_le_bytes()).collect(), codes.to_vec()].concat(),
            &[],
        )
    };
    let packed = |flag: u32, reg_f: u32, reg_i: u32, homes: u32, cr: u32, frame: u32| {
        flag | 16 << 2 | reg_f << 13 | reg_i << 16 | homes << 20 | cr << 21 | frame << 23
    };
    let canonical = |position, word| input(MODE, position, word, &[], &[]);
    vec![
        ("arm64-packed", canonical(24, packed(1, 0, 2, 0, 3, 4))),
        ("arm64-packed-everything", canonical(24, packed(1, 7, 10, 1, 2, 511))),
        ("arm64-packed-in-the-prolog", canonical(4, packed(1, 3, 4, 0, 1, 8))),
        ("arm64-packed-in-the-epilog", canonical(56, packed(1, 3, 4, 1, 0, 8))),
        ("arm64-packed-fragment", canonical(0, packed(2, 0, 2, 0, 3, 4))),
        ("arm64-packed-reserved", canonical(8, packed(3, 7, 15, 1, 3, 511))),
        ("arm64-record", record(&[16 | 2 << 27], &[0xE1, 0xC8, 30, 0xD8, 28, 0x80 | 31, 0xE4, 0xE3])),
        ("arm64-handler", record(&[16 | 1 << 20 | 1 << 27], &[0xE1, 0x81, 0xE4, 0xE3, 0x34, 0x12, 0, 0])),
        ("arm64-epilog-in-header", record(&[8 | 1 << 21 | 1 << 22 | 1 << 27], &[0xE1, 0x81, 0xE4, 0xE3])),
        ("arm64-epilog-scopes", record(&[16 | 2 << 22 | 1 << 27, 3, 4 | 1 << 22], &[0xE1, 0x81, 0xE4, 0xE3])),
        ("arm64-extended", record(&[16, 1 | 2 << 16, 4], &[0xE6, 0xE6, 0xCC, 3, 0xE0, 0, 1, 0xE4])),
        ("arm64-save-any", record(&[16 | 2 << 27], &[0xE7, 0x53, 0x81, 0xE7, 0x33, 0x41, 0xFC, 0xE4])),
        ("arm64-end-c", record(&[16 | 2 << 27], &[0xC8, 0x80, 0x02, 0xE5, 0x81, 0xE4, 0xE3, 0xE3])),
        ("arm64-machine-frame", record(&[16 | 1 << 27], &[0xE9, 0xE4, 0xE3, 0xE3])),
        ("arm64-context", record(&[16 | 1 << 27], &[0xEA, 0xEC, 0xE4, 0xE3])),
    ]
}

#[test]
fn seeds_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loader/fuzz/seeds/unwind");
    let bless = std::env::var_os("TRANSOM_BLESS").is_some();
    for (name, seed) in amd64().into_iter().chain(arm64()) {
        let path = folder.join(name);
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &seed).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(kept == seed, "{name} is out of date: run this test with TRANSOM_BLESS=1");
    }
}

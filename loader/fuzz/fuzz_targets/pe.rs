//! Parses any bytes as a PE file and walks everything in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use transom_loader::pe::{self, ImageBytes, MappedImageMut, Pe, PeError};

/// Images larger than this are walked as files only.
const MAP_LIMIT: u32 = 1 << 20;

fn check(error: &PeError) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "more than one line: {text:?}");
}

fuzz_target!(|file: &[u8]| {
    let pe = match Pe::parse(file) {
        Ok(pe) => pe,
        Err(error) => return check(&error),
    };
    let (headers, plan) = (pe.headers(), pe.map_plan());
    pe::survey(&pe.image(), headers).errors.iter().for_each(check);
    if plan.size <= MAP_LIMIT {
        let mut memory = vec![0; plan.size as usize];
        for range in &plan.ranges {
            let part = &mut memory[range.rva as usize..(range.rva + range.size) as usize];
            assert_eq!(pe.image().read_at(range.rva, part), part.len());
        }
        let new_base = headers.image_base ^ 0x1_0000;
        let mut image = MappedImageMut::new(&mut memory, headers.image_base);
        if let Err(error) = pe::relocate(&mut image, headers, new_base) {
            check(&error);
        }
        let image = MappedImageMut::new(&mut memory, new_base);
        pe::survey(&image, headers).errors.iter().for_each(check);
    }
});

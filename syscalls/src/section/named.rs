//! Sections that other processes find by a name: their memory is a file of the session.

use core::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::Memory as m;

use super::{Backing, PAGE, Section, rights};
use crate::object::Kind;
use crate::session::{self, InSession, NewCell, Slot};
use crate::status::{Result, Status};
use crate::wait::Rule;

impl Section {
    /// The section of memory with this name, or a new one; whether it existed, and then it has its own size and protection.
    /// The arguments are those of [`Section::create`].
    ///
    /// # Errors
    /// As [`Section::create`] and [`session::create`].
    pub fn named(name: &[u16], protect: u32, attributes: u32, size: u64) -> Result<(Arc<Self>, bool)> {
        let protect = protect & !(m::PAGE_NOCACHE | m::PAGE_WRITECOMBINE);
        // Checked as one without a name is; its memory is used by nobody and goes at once.
        let like = Self::create(None, protect, attributes, size)?;
        // Nobody waits for a section.
        let cell = NewCell { rule: Rule::ManualEvent, tokens: 0, limit: 1 };
        session::create_with(name, cell, |slot| {
            slot.backing()?.set_len(like.size)?;
            let [bytes, kind] = slot.extra();
            bytes.store(like.size, Ordering::Relaxed);
            kind.store(u64::from(protect) | (u64::from(attributes) << 32), Ordering::Relaxed);
            Ok(())
        })
    }
}

impl InSession for Section {
    const KIND: Kind = Kind::Section;

    fn of_slot(slot: Slot) -> Result<Arc<Self>> {
        let bad = Status(f::STATUS_INVALID_PARAMETER);
        let [size, kind] = slot.extra().each_ref().map(|e| e.load(Ordering::Relaxed));
        let half = |n: u64| u32::try_from(n & 0xFFFF_FFFF).map_err(|_| bad);
        let (protect, attributes) = (half(kind)?, half(kind >> 32)?);
        let file = slot.backing()?;
        // What the table says is checked against the file: a view beyond its end would fault.
        if rights(protect).is_none() || size == 0 || file.metadata()?.len() < size.next_multiple_of(PAGE) {
            return Err(bad);
        }
        let backing = Backing::Memory(file.into());
        Ok(Arc::new(Self { backing, size, protect, attributes, name: OnceLock::new(), _slot: Some(slot) }))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_name_shows_the_same_memory_until_nobody_has_it() {
        let name: Vec<u16> = format!("section-{}", std::process::id()).encode_utf16().collect();
        let make = |size| Section::named(&name, m::PAGE_READWRITE, m::SEC_COMMIT, size);
        assert_eq!(make(0).err(), Some(Status(f::STATUS_INVALID_PARAMETER)));
        let (a, existed) = make(5000).unwrap();
        assert!(!existed);
        let file = |s: &Section| std::fs::File::from(s.fd().try_clone_to_owned().unwrap());
        file(&a).write_all_at(b"shared", 4990).unwrap();
        // What another process does: the same slot, made into an object again.
        let again = session::open::<Section>(&name).unwrap();
        assert!(Arc::ptr_eq(&a, &again));
        let (b, existed) = make(1).unwrap();
        assert!(existed && b.size() == a.size());
        let mut read = [0; 6];
        file(&b).read_exact_at(&mut read, 4990).unwrap();
        assert_eq!(&read, b"shared");
        drop((a, b, again));
        assert!(session::open::<Section>(&name).is_err());
        let (c, existed) = make(5000).unwrap();
        file(&c).read_exact_at(&mut read, 4990).unwrap();
        assert!(!existed && read == [0; 6], "it begins anew");
    }
}

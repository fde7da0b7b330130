//! Exports: lookup by name and ordinal, forwarders, enumeration.

use std::cmp::Ordering;
use std::sync::OnceLock;

use object::LittleEndian as LE;
use object::pe::ImageExportDirectory;
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_EXPORT;

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, Name, View};
use super::imports::Symbol;

const WHAT: &str = "the export table";

/// What an export leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportTarget {
    /// Code or data at this RVA of the image. May lie outside of it; Windows does not check either.
    Address(u32),
    /// An export of another DLL.
    Forwarder(Forwarder),
}

/// A forwarder, such as `NTDLL.RtlAllocateHeap` or `WS2_32.#12`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forwarder {
    /// The other DLL's name as the file gives it, usually without `.dll`.
    pub dll: Name,
    /// The symbol in that DLL.
    pub symbol: Symbol,
}

impl Forwarder {
    /// Parses a forwarder; `None` if it is not of the form `DLL.NAME` or `DLL.#NUMBER`.
    ///
    /// The DLL's name may itself contain dots (API sets do not, but side-by-side names do): the last one counts.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let dot = text.iter().rposition(|&b| b == b'.')?;
        let (dll, name) = (&text[..dot], &text[dot + 1..]);
        if dll.is_empty() || name.is_empty() {
            return None;
        }
        let symbol = match name.strip_prefix(b"#") {
            Some(digits) => Symbol::Ordinal(std::str::from_utf8(digits).ok()?.parse().ok()?),
            None => Symbol::Name { hint: 0, name: name.into() },
        };
        Some(Self { dll: dll.into(), symbol })
    }
}

/// One export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Its ordinal, with the base added.
    pub ordinal: u32,
    /// What it leads to.
    pub target: ExportTarget,
}

/// An export directory. It holds no reference to the image, so a module list can keep it; its methods are
/// to be given the image that it was read from.
#[derive(Debug)]
pub struct Exports {
    /// RVA of the DLL's own name (see [`Self::dll_name`]).
    pub name_rva: u32,
    /// The first ordinal.
    pub ordinal_base: u32,
    /// Number of ordinals, used or not.
    pub function_count: u32,
    /// Number of names.
    pub name_count: u32,
    functions: u32,
    names: u32,
    name_ordinals: u32,
    /// RVAs in here are forwarders' texts.
    directory: std::ops::Range<u32>,
    limit: u64,
    sorted: OnceLock<bool>,
}

/// The export directory of an image, if it has one.
///
/// # Errors
/// A directory outside the image, or more exports than the file has room for.
pub fn exports<I: ImageBytes + ?Sized>(image: &I, headers: &Headers) -> Result<Option<Exports>, PeError> {
    let Some(directory) = headers.directory(IMAGE_DIRECTORY_ENTRY_EXPORT) else { return Ok(None) };
    let view = View::new(image, headers, WHAT);
    let raw: ImageExportDirectory = view.pod(directory.rva)?;
    let exports = Exports {
        name_rva: raw.name.get(LE),
        ordinal_base: raw.base.get(LE),
        function_count: raw.number_of_functions.get(LE),
        name_count: raw.number_of_names.get(LE),
        functions: raw.address_of_functions.get(LE),
        names: raw.address_of_names.get(LE),
        name_ordinals: raw.address_of_name_ordinals.get(LE),
        directory: directory.rva..directory.rva.saturating_add(directory.size),
        limit: headers.work_limit(),
        sorted: OnceLock::new(),
    };
    for (count, what) in [(exports.function_count, "functions"), (exports.name_count, "names")] {
        if u64::from(count) * 4 > headers.file_size {
            return Err(view.error(directory.rva, format!("{count} {what} do not fit into the file")));
        }
    }
    Ok(Some(exports))
}

impl Exports {
    fn view<'a, I: ImageBytes + ?Sized>(&self, image: &'a I) -> View<'a, I> {
        View::with_limit(image, self.limit, WHAT)
    }

    /// The DLL's name as its linker knew it.
    ///
    /// # Errors
    /// The name lies outside the image.
    pub fn dll_name<I: ImageBytes + ?Sized>(&self, image: &I) -> Result<Name, PeError> {
        self.view(image).name(self.name_rva)
    }

    /// The export with an ordinal; `None` if there is none.
    ///
    /// # Errors
    /// A table outside the image, or a malformed forwarder.
    pub fn by_ordinal<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        ordinal: u32,
    ) -> Result<Option<Export>, PeError> {
        match ordinal.checked_sub(self.ordinal_base) {
            Some(index) if index < self.function_count => self.function(&self.view(image), index),
            _ => Ok(None),
        }
    }

    /// The export with a name; `None` if there is none. `hint` is where in the name table it probably is.
    ///
    /// The names should be sorted, and are searched as if they were; if that fails they are looked at once to see
    /// whether they really are.
    ///
    /// # Errors
    /// A table outside the image, or a malformed forwarder.
    pub fn by_name<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        name: &[u8],
        hint: Option<u16>,
    ) -> Result<Option<Export>, PeError> {
        let view = &self.view(image);
        let mut found = None;
        if let Some(hint) = hint.map(u32::from)
            && hint < self.name_count
            && self.compare(view, hint, name)? == Ordering::Equal
        {
            found = Some(hint);
        }
        if found.is_none() {
            found = self.binary_search(view, name)?;
        }
        if found.is_none() && !self.is_sorted(view)? {
            found = self.linear_search(view, name)?;
        }
        match found {
            Some(index) => self.function(view, self.name_target(view, index)?),
            None => Ok(None),
        }
    }

    fn binary_search<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        name: &[u8],
    ) -> Result<Option<u32>, PeError> {
        let (mut low, mut high) = (0, self.name_count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(view, middle, name)? {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(middle)),
            }
        }
        Ok(None)
    }

    fn linear_search<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        name: &[u8],
    ) -> Result<Option<u32>, PeError> {
        for index in 0..self.name_count {
            if self.compare(view, index, name)? == Ordering::Equal {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn is_sorted<I: ImageBytes + ?Sized>(&self, view: &View<'_, I>) -> Result<bool, PeError> {
        if let Some(&sorted) = self.sorted.get() {
            return Ok(sorted);
        }
        let mut last = Name::default();
        let mut sorted = true;
        for index in 0..self.name_count {
            let name = view.name(self.name_at(view, index)?)?;
            sorted &= last <= name;
            last = name;
        }
        Ok(*self.sorted.get_or_init(|| sorted))
    }

    /// RVA of a name's text.
    fn name_at<I: ImageBytes + ?Sized>(&self, view: &View<'_, I>, index: u32) -> Result<u32, PeError> {
        view.u32(view.element(self.names, index.into(), 4, 0)?)
    }

    /// Index of the function that a name is for.
    fn name_target<I: ImageBytes + ?Sized>(&self, view: &View<'_, I>, index: u32) -> Result<u32, PeError> {
        view.u16(view.element(self.name_ordinals, index.into(), 2, 0)?).map(u32::from)
    }

    /// Compares a name in the table with another.
    fn compare<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        index: u32,
        name: &[u8],
    ) -> Result<Ordering, PeError> {
        let mut at = self.name_at(view, index)?;
        let mut rest = name;
        loop {
            let mut chunk = [0; 64];
            let want = (rest.len() + 1).min(chunk.len());
            let n = view.image.read_at(at, &mut chunk[..want]);
            view.charge(n)?;
            let text = &chunk[..n];
            let text = text.split(|&b| b == 0).next().unwrap_or_default();
            if text.len() < want || n < want {
                // The table's name ends here (at its NUL, or with the image).
                return Ok(text.cmp(rest));
            }
            let head = rest.len().min(want);
            match text[..head].cmp(&rest[..head]) {
                Ordering::Equal if head < want => return Ok(Ordering::Greater),
                Ordering::Equal => {}
                unequal => return Ok(unequal),
            }
            rest = &rest[head..];
            at = view.element(at, 1, 64, 0)?;
        }
    }

    fn function<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        index: u32,
    ) -> Result<Option<Export>, PeError> {
        if index >= self.function_count {
            return Ok(None);
        }
        let at = view.element(self.functions, index.into(), 4, 0)?;
        let rva = view.u32(at)?;
        if rva == 0 {
            return Ok(None);
        }
        let target = if self.directory.contains(&rva) {
            let text = view.name(rva)?;
            let forwarder = Forwarder::parse(&text);
            let forwarder =
                forwarder.ok_or_else(|| view.error(rva, format!("forwarder \"{text}\" is malformed")))?;
            ExportTarget::Forwarder(forwarder)
        } else {
            ExportTarget::Address(rva)
        };
        Ok(Some(Export { ordinal: self.ordinal_base.wrapping_add(index), target }))
    }

    /// Calls `visit` with every export: those with names first, in the order of the name table (an export with several
    /// names comes once for each), then those without.
    ///
    /// # Errors
    /// A table outside the image or a malformed forwarder. What came before it has been visited.
    pub fn for_each<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        mut visit: impl FnMut(Option<Name>, Export),
    ) -> Result<(), PeError> {
        let view = &self.view(image);
        let mut named = vec![false; self.function_count as usize];
        for index in 0..self.name_count {
            let name = view.name(self.name_at(view, index)?)?;
            let target = self.name_target(view, index)?;
            if let Some(export) = self.function(view, target)? {
                named[target as usize] = true;
                visit(Some(name), export);
            }
        }
        for (index, _) in (0..self.function_count).zip(named).filter(|(_, named)| !named) {
            if let Some(export) = self.function(view, index)? {
                visit(None, export);
            }
        }
        Ok(())
    }
}

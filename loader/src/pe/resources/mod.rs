//! Resources: the tree of types, names and languages, and what its leaves hold.
//!
//! The tree has exactly three levels. Directories are found by offsets that may point anywhere, also backwards, so
//! nothing here recurses by what the file says: three levels are walked and no more, within the budget of the walk.
//! String tables are read here, as they are part of the lookup; version blocks and message tables are parsed in
//! [`version`] and [`messages`] from the bytes of their resource.

pub mod edit;
pub mod messages;
pub mod version;

use std::fmt;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_RESOURCE_DATA_IS_DIRECTORY, IMAGE_RESOURCE_NAME_IS_STRING, ImageResourceDataEntry,
    ImageResourceDirectory, ImageResourceDirectoryEntry,
};
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_RESOURCE;
use windows_sys::Win32::System::SystemServices::{LANG_ENGLISH, SUBLANG_ENGLISH_US};

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, View};

const WHAT: &str = "the resource directory";

/// Strings per string table resource.
const STRINGS_PER_BUNDLE: u16 = 16;

/// What identifies a resource's type or the resource itself: a number or a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResourceId {
    /// A number (`MAKEINTRESOURCE`).
    Id(u16),
    /// A name in UTF-16. Compared without regard to case.
    Name(Vec<u16>),
}

impl ResourceId {
    /// Type of string tables.
    pub const STRING: Self = Self::Id(object::pe::RT_STRING);
    /// Type of message tables.
    pub const MESSAGE_TABLE: Self = Self::Id(object::pe::RT_MESSAGETABLE);
    /// Type of version blocks.
    pub const VERSION: Self = Self::Id(object::pe::RT_VERSION);
    /// Type of manifests.
    pub const MANIFEST: Self = Self::Id(object::pe::RT_MANIFEST);

    /// Whether two ids mean the same resource.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Id(a), Self::Id(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => equal_ignoring_case(a, b),
            _ => false,
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "#{id}"),
            Self::Name(name) => write!(f, "\"{}\"", String::from_utf16_lossy(name).escape_debug()),
        }
    }
}

/// The upper case of a UTF-16 unit, where it is one unit too.
pub(crate) fn upper(unit: u16) -> u16 {
    let mut upper = char::from_u32(unit.into()).map(char::to_uppercase).into_iter().flatten();
    match (upper.next(), upper.next()) {
        (Some(c), None) => u16::try_from(u32::from(c)).unwrap_or(unit),
        _ => unit,
    }
}

pub(crate) fn equal_ignoring_case(a: &[u16], b: &[u16]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| a == b || upper(a) == upper(b))
}

/// Which language of a resource to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// The one asked for, that language without its country, or the neutral one; nothing else (`FindResourceEx`).
    Wanted(u16),
    /// The neutral one, the user's, the user's without its country, US English, or else the first (`FindResource`).
    User(u16),
}

impl Language {
    /// The languages to try in order.
    fn candidates(self) -> [u16; 4] {
        let without_country = |id: u16| id & 0x3ff;
        match self {
            Self::Wanted(id) => [id, without_country(id), 0, 0],
            Self::User(id) => [0, id, without_country(id), ENGLISH_US],
        }
    }
}

/// US English (`MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US)`).
#[expect(clippy::cast_possible_truncation, reason = "both constants are small")]
const ENGLISH_US: u16 = (SUBLANG_ENGLISH_US as u16) << 10 | LANG_ENGLISH as u16;

/// A resource: one leaf of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resource {
    /// RVA of its `IMAGE_RESOURCE_DATA_ENTRY`, to which an `HRSRC` points.
    pub entry: u32,
    /// RVA of its data.
    pub rva: u32,
    /// Size of its data in bytes; they lie within the image.
    pub size: u32,
    /// Code page, which hardly any tool sets.
    pub code_page: u32,
    /// Its language.
    pub language: u16,
}

/// The resource directory of an image. It holds no reference to the image; its methods are to be given the image it
/// belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    root: u32,
    limit: u64,
    size_of_image: u32,
}

/// The resource directory of an image, if it has one.
#[must_use]
pub fn resources(headers: &Headers) -> Option<Resources> {
    let directory = headers.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE)?;
    Some(Resources { root: directory.rva, limit: headers.work_limit(), size_of_image: headers.size_of_image })
}

/// A directory's place, and how many entries it has.
#[derive(Clone, Copy)]
struct Directory {
    rva: u32,
    named: u16,
    total: u32,
}

/// What an entry of a directory leads to.
#[derive(Clone, Copy)]
enum Child {
    Directory(u32),
    Leaf(u32),
}

impl Resources {
    fn view<'a, I: ImageBytes + ?Sized>(&self, image: &'a I) -> View<'a, I> {
        View::with_limit(image, self.limit, WHAT)
    }

    fn open<I: ImageBytes + ?Sized>(&self, view: &View<'_, I>, rva: u32) -> Result<Directory, PeError> {
        let raw: ImageResourceDirectory = view.pod(rva)?;
        let named = raw.number_of_named_entries.get(LE);
        Ok(Directory { rva, named, total: u32::from(named) + u32::from(raw.number_of_id_entries.get(LE)) })
    }

    fn entry<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        directory: Directory,
        index: u32,
    ) -> Result<(u32, Child), PeError> {
        let at = view.element(directory.rva, index.into(), 8, 16)?;
        let raw: ImageResourceDirectoryEntry = view.pod(at)?;
        let offset = raw.offset_to_data_or_directory.get(LE);
        let rva = view.element(self.root, 1, offset & !IMAGE_RESOURCE_DATA_IS_DIRECTORY, 0)?;
        let child = if offset & IMAGE_RESOURCE_DATA_IS_DIRECTORY != 0 {
            Child::Directory(rva)
        } else {
            Child::Leaf(rva)
        };
        Ok((raw.name_or_id.get(LE), child))
    }

    /// Reads an entry's name or number.
    fn id<I: ImageBytes + ?Sized>(&self, view: &View<'_, I>, raw: u32) -> Result<ResourceId, PeError> {
        if raw & IMAGE_RESOURCE_NAME_IS_STRING == 0 {
            return match u16::try_from(raw) {
                Ok(id) => Ok(ResourceId::Id(id)),
                Err(_) => Err(view.error(self.root, format!("resource number {raw:#x} exceeds 16 bits"))),
            };
        }
        let at = view.element(self.root, 1, raw & !IMAGE_RESOURCE_NAME_IS_STRING, 0)?;
        let length = view.u16(at)?;
        units(view, view.element(at, 1, 2, 0)?, length).map(ResourceId::Name)
    }

    /// Finds the entry with an id.
    fn lookup<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        directory: Directory,
        id: &ResourceId,
    ) -> Result<Option<Child>, PeError> {
        // Names come first in a directory.
        let range = match id {
            ResourceId::Name(_) => 0..u32::from(directory.named),
            ResourceId::Id(_) => u32::from(directory.named)..directory.total,
        };
        for index in range {
            let (raw, child) = self.entry(view, directory, index)?;
            let found = match id {
                ResourceId::Id(id) => raw == u32::from(*id),
                ResourceId::Name(_) => self.id(view, raw)?.matches(id),
            };
            if found {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// Picks a language in a resource's directory of languages.
    fn choose<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        directory: Directory,
        language: Language,
    ) -> Result<Option<(u16, Child)>, PeError> {
        for candidate in language.candidates() {
            if let Some(child) = self.lookup(view, directory, &ResourceId::Id(candidate))? {
                return Ok(Some((candidate, child)));
            }
        }
        if matches!(language, Language::Wanted(_)) || directory.total == 0 {
            return Ok(None);
        }
        let (raw, child) = self.entry(view, directory, 0)?;
        Ok(Some((u16::try_from(raw).unwrap_or_default(), child)))
    }

    fn leaf<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        entry: u32,
        language: u16,
    ) -> Result<Resource, PeError> {
        let raw: ImageResourceDataEntry = view.pod(entry)?;
        let (rva, size) = (raw.offset_to_data.get(LE), raw.size.get(LE));
        if rva.checked_add(size).is_none_or(|end| end > self.size_of_image) {
            return Err(
                view.error(entry, format!("data at {rva:#x} + {size:#x} bytes lie outside the image"))
            );
        }
        Ok(Resource { entry, rva, size, code_page: raw.code_page.get(LE), language })
    }

    /// Finds a resource; `None` if there is none of that type, name and language.
    ///
    /// # Errors
    /// A malformed tree, or data outside the image.
    pub fn find<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        kind: &ResourceId,
        name: &ResourceId,
        language: Language,
    ) -> Result<Option<Resource>, PeError> {
        let view = &self.view(image);
        let mut directory = self.open(view, self.root)?;
        for id in [kind, name] {
            directory = match self.lookup(view, directory, id)? {
                Some(Child::Directory(rva)) => self.open(view, rva)?,
                _ => return Ok(None),
            };
        }
        match self.choose(view, directory, language)? {
            Some((language, Child::Leaf(entry))) => self.leaf(view, entry, language).map(Some),
            _ => Ok(None),
        }
    }

    /// Calls `visit` with the type, name and place of every resource, in the order of the tree. Stops when it returns
    /// false.
    ///
    /// # Errors
    /// A malformed tree, or data outside the image. What came before it has been visited.
    pub fn for_each<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        mut visit: impl FnMut(&ResourceId, &ResourceId, Resource) -> bool,
    ) -> Result<(), PeError> {
        let view = &self.view(image);
        let root = self.open(view, self.root)?;
        for type_index in 0..root.total {
            let (raw, child) = self.entry(view, root, type_index)?;
            let kind = self.id(view, raw)?;
            let names = self.subdirectory(view, child)?;
            for name_index in 0..names.total {
                let (raw, child) = self.entry(view, names, name_index)?;
                let name = self.id(view, raw)?;
                let languages = self.subdirectory(view, child)?;
                for index in 0..languages.total {
                    let (raw, child) = self.entry(view, languages, index)?;
                    let Child::Leaf(entry) = child else {
                        return Err(view.error(languages.rva, "the tree has more than three levels"));
                    };
                    let language = u16::try_from(raw).unwrap_or_default();
                    if !visit(&kind, &name, self.leaf(view, entry, language)?) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn subdirectory<I: ImageBytes + ?Sized>(
        &self,
        view: &View<'_, I>,
        child: Child,
    ) -> Result<Directory, PeError> {
        match child {
            Child::Directory(rva) => self.open(view, rva),
            Child::Leaf(rva) => Err(view.error(rva, "the tree has fewer than three levels")),
        }
    }

    /// The bytes of a resource.
    ///
    /// # Errors
    /// More bytes than the file has, or bytes outside the image.
    pub fn data<I: ImageBytes + ?Sized>(&self, image: &I, resource: Resource) -> Result<Vec<u8>, PeError> {
        let view = self.view(image);
        if u64::from(resource.size) > self.limit {
            return Err(view.error(resource.rva, format!("{} bytes do not fit into the file", resource.size)));
        }
        let mut bytes = vec![0; resource.size as usize];
        view.fill(resource.rva, &mut bytes)?;
        Ok(bytes)
    }

    /// Where a string of the string tables is: the RVA of its first UTF-16 unit, and how many there are. There is no
    /// NUL after it. `None` if there is no such string; an empty one counts as none, as on Windows.
    ///
    /// # Errors
    /// A malformed tree or table.
    pub fn string_place<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        id: u16,
        language: Language,
    ) -> Result<Option<(u32, u16)>, PeError> {
        let bundle = ResourceId::Id(id / STRINGS_PER_BUNDLE + 1);
        let Some(bundle) = self.find(image, &ResourceId::STRING, &bundle, language)? else { return Ok(None) };
        let view = self.view(image);
        let mut at = bundle.rva;
        for index in 0..=id % STRINGS_PER_BUNDLE {
            let length = view.u16(at)?;
            let text = view.element(at, 1, 2, 0)?;
            at = view.element(text, length.into(), 2, 0)?;
            if at - bundle.rva > bundle.size {
                return Err(view.error(bundle.rva, "a string runs out of its table"));
            }
            if index == id % STRINGS_PER_BUNDLE && length != 0 {
                return Ok(Some((text, length)));
            }
        }
        Ok(None)
    }

    /// A string of the string tables; `None` if there is no such string.
    ///
    /// # Errors
    /// A malformed tree or table.
    pub fn string<I: ImageBytes + ?Sized>(
        &self,
        image: &I,
        id: u16,
        language: Language,
    ) -> Result<Option<Vec<u16>>, PeError> {
        match self.string_place(image, id, language)? {
            Some((rva, length)) => units(&self.view(image), rva, length).map(Some),
            None => Ok(None),
        }
    }

    /// The manifest of a program (id 1) or of a DLL (id 2), as its bytes, which are XML.
    ///
    /// # Errors
    /// A malformed tree, or data outside the image.
    pub fn manifest<I: ImageBytes + ?Sized>(&self, image: &I, id: u16) -> Result<Option<Vec<u8>>, PeError> {
        match self.find(image, &ResourceId::MANIFEST, &ResourceId::Id(id), Language::User(ENGLISH_US))? {
            Some(resource) => self.data(image, resource).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads `count` UTF-16 units.
fn units<I: ImageBytes + ?Sized>(view: &View<'_, I>, rva: u32, count: u16) -> Result<Vec<u16>, PeError> {
    let mut bytes = vec![0; 2 * usize::from(count)];
    view.fill(rva, &mut bytes)?;
    Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
}

//! Resources of modules (`libloaderapi.h`, `winbase.h`). A resource handle is the address of its data entry in the image,
//! and the handle of a loaded resource that of its data, as on Windows.

use transom_loader::map::GuestImage;
use transom_loader::pe::resources::{Language, Resource, ResourceId, Resources, resources};
use transom_loader::pe::{Headers, PeError};
use transom_sdk::{Acp, Cx, Func, Handle, WStr, Win32, WinError, foundation as f, mem, shim};

use super::datafile;

/// The user's language.
pub(crate) const EN_US: u16 = 0x0409;

/// The image of a module or data file; NULL is the program.
pub(crate) fn image_of(cx: &Cx, handle: Handle) -> Win32<(GuestImage, Headers)> {
    if let Some(found) = datafile::image(cx, handle) {
        return Ok(found);
    }
    let module = if handle.is_null() {
        cx.modules().program()
    } else {
        cx.modules().by_handle(handle.0.cast_unsigned() & !3)
    };
    let module = module.ok_or(WinError::Code(f::ERROR_MOD_NOT_FOUND))?;
    match module.headers() {
        Some(headers) => Ok((module.image(), headers.clone())),
        // Transom's own DLLs have no resources.
        None => Err(WinError::Code(f::ERROR_RESOURCE_DATA_NOT_FOUND)),
    }
}

fn tree(cx: &Cx, handle: Handle) -> Win32<(GuestImage, Resources)> {
    let (image, headers) = image_of(cx, handle)?;
    let tree = resources(&headers).ok_or(WinError::Code(f::ERROR_RESOURCE_DATA_NOT_FOUND))?;
    Ok((image, tree))
}

fn bad(error: &PeError) -> WinError {
    log::warn!("{error}");
    WinError::Code(f::ERROR_RESOURCE_DATA_NOT_FOUND)
}

/// A type or name argument: a number in place of a pointer, `#123`, or a name.
pub(crate) fn id(argument: WStr) -> Win32<ResourceId> {
    if let Ok(number) = u16::try_from(argument.addr()) {
        return Ok(ResourceId::Id(number));
    }
    let text = argument.get()?;
    if text.first() == Some(&u16::from(b'#'))
        && let Ok(number) = String::from_utf16_lossy(&text[1..]).parse()
    {
        return Ok(ResourceId::Id(number));
    }
    Ok(ResourceId::Name(text))
}

fn find(cx: &Cx, module: Handle, kind: &ResourceId, name: &ResourceId, language: Language) -> Win32<Handle> {
    let (image, tree) = tree(cx, module)?;
    if let Some(found) = tree.find(&image, kind, name, language).map_err(|e| bad(&e))? {
        return Ok(Handle((image.base + u64::from(found.entry)).cast_signed()));
    }
    let (mut has_type, mut has_name) = (false, false);
    let seen = tree.for_each(&image, |k, n, _| {
        has_type |= k.matches(kind);
        has_name |= k.matches(kind) && n.matches(name);
        !has_name
    });
    seen.map_err(|e| bad(&e))?;
    Err(WinError::Code(match (has_type, has_name) {
        (_, true) => f::ERROR_RESOURCE_LANG_NOT_FOUND,
        (true, _) => f::ERROR_RESOURCE_NAME_NOT_FOUND,
        _ => f::ERROR_RESOURCE_TYPE_NOT_FOUND,
    }))
}

/// Determines the location of a resource with the specified type and name in the specified module.
#[shim(kernel32, ansi)]
fn FindResourceW(cx: &Cx, module: Handle, name: WStr, kind: WStr) -> Win32<Handle> {
    find(cx, module, &id(kind)?, &id(name)?, Language::User(EN_US))
}

/// Determines the location of the resource with the specified type, name, and language in the specified module.
#[shim(kernel32, ansi)]
fn FindResourceExW(cx: &Cx, module: Handle, kind: WStr, name: WStr, language: u16) -> Win32<Handle> {
    let language = if language == 0 { Language::User(EN_US) } else { Language::Wanted(language) };
    find(cx, module, &id(kind)?, &id(name)?, language)
}

/// The data entry that a resource handle points to: RVA and size of the data.
fn entry(cx: &Cx, module: Handle, resource: Handle) -> Win32<(u64, u32)> {
    if resource.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_HANDLE));
    }
    let (image, _) = image_of(cx, module)?;
    let at = resource.0.cast_unsigned();
    let (rva, size): (u32, u32) = (mem::read(at)?, mem::read(at + 4)?);
    Ok((image.base + u64::from(rva), size))
}

/// Retrieves a handle that can be used to obtain a pointer to the first byte of the specified resource in memory.
#[shim(kernel32)]
fn LoadResource(cx: &Cx, module: Handle, resource: Handle) -> Win32<Handle> {
    Ok(Handle(entry(cx, module, resource)?.0.cast_signed()))
}

/// Retrieves a pointer to the specified resource in memory.
#[shim(kernel32)]
fn LockResource(data: Handle) -> Handle {
    data
}

/// Retrieves the size, in bytes, of the specified resource.
#[shim(kernel32)]
fn SizeofResource(cx: &Cx, module: Handle, resource: Handle) -> Win32<u32> {
    Ok(entry(cx, module, resource)?.1)
}

/// Frees a loaded resource: there is nothing to free, and the documented answer for success is FALSE.
#[shim(kernel32)]
fn FreeResource(_data: Handle) -> bool {
    false
}

/// A type or name as a callback gets it: a number, or the address of a text in a block that lives until the enumeration
/// ends. Guest memory, so that nothing of the host is lost if a callback never returns.
struct Names {
    block: u64,
}

impl Names {
    fn new(cx: &Cx, ids: &[ResourceId], ansi: bool) -> Win32<(Self, Vec<u64>)> {
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        for id in ids {
            let ResourceId::Name(name) = id else { continue };
            places.push(bytes.len() as u64);
            if ansi {
                bytes.extend(Acp::encode(name));
                bytes.push(0);
            } else {
                bytes.extend(name.iter().chain(&[0]).flat_map(|u| u.to_le_bytes()));
            }
        }
        let size = bytes.len().max(1) as u64;
        let block =
            cx.heaps().process().alloc(size, false).ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
        mem::copy_out(block, &bytes)?;
        let mut named = places.into_iter();
        let addresses = ids.iter().map(|id| match id {
            ResourceId::Id(number) => u64::from(*number),
            ResourceId::Name(_) => block + named.next().unwrap_or(0),
        });
        let addresses = addresses.collect();
        Ok((Self { block }, addresses))
    }

    fn free(self, cx: &Cx) {
        let _ = cx.heaps().process().free(self.block);
    }
}

fn list(
    cx: &Cx,
    module: Handle,
    mut pick: impl FnMut(&ResourceId, &ResourceId, Resource) -> Option<ResourceId>,
) -> Win32<Vec<ResourceId>> {
    let (image, tree) = tree(cx, module)?;
    let mut found: Vec<ResourceId> = Vec::new();
    let walked = tree.for_each(&image, |kind, name, resource| {
        if let Some(id) = pick(kind, name, resource)
            && !found.contains(&id)
        {
            found.push(id);
        }
        true
    });
    walked.map_err(|e| bad(&e))?;
    Ok(found)
}

/// Calls back for each of the addresses until the callback returns FALSE.
fn call_each(cx: &Cx, callback: Func, before: &[u64], each: &[u64], after: &[u64]) -> bool {
    for &address in each {
        let mut arguments = [0u64; 6];
        let mut count = 0;
        for &value in before.iter().chain([&address]).chain(after) {
            arguments[count] = value;
            count += 1;
        }
        if cx.call(callback, &arguments[..count]) & 0xFFFF_FFFF == 0 {
            return false;
        }
    }
    true
}

/// Calls back, and frees what the callbacks looked at.
fn enumerate(
    cx: &Cx,
    ids: &[ResourceId],
    ansi: bool,
    callback: Func,
    before: &[u64],
    after: &[u64],
) -> Win32<()> {
    let (names, addresses) = Names::new(cx, ids, ansi)?;
    let whole = call_each(cx, callback, before, &addresses, after);
    names.free(cx);
    if whole { Ok(()) } else { Err(WinError::Code(f::ERROR_RESOURCE_ENUM_USER_STOP)) }
}

/// Enumerates resource types within a binary module.
#[shim(kernel32, ansi)]
fn EnumResourceTypesW(cx: &Cx, module: Handle, callback: EnumCallback, parameter: usize) -> Win32<()> {
    let ids = list(cx, module, |kind, _, _| Some(kind.clone()))?;
    let module = module.0.cast_unsigned();
    enumerate(cx, &ids, callback.ansi, callback.at, &[module], &[parameter as u64])
}

/// Enumerates resources of a specified type within a binary module.
#[shim(kernel32, ansi)]
fn EnumResourceNamesW(cx: &Cx, module: Handle, kind: WStr, callback: Func, parameter: usize) -> Win32<()> {
    let wanted = id(kind)?;
    let ids = list(cx, module, |k, name, _| k.matches(&wanted).then(|| name.clone()))?;
    if ids.is_empty() {
        return Err(WinError::Code(f::ERROR_RESOURCE_TYPE_NOT_FOUND));
    }
    drop(wanted);
    let module = module.0.cast_unsigned();
    enumerate(cx, &ids, kind.is_ansi(), callback, &[module, kind.addr()], &[parameter as u64])
}

/// Enumerates language-specific resources, of the specified type and name, associated with a binary module.
#[shim(kernel32, ansi)]
fn EnumResourceLanguagesW(
    cx: &Cx,
    module: Handle,
    kind: WStr,
    name: WStr,
    callback: Func,
    parameter: usize,
) -> Win32<()> {
    let (k, n) = (id(kind)?, id(name)?);
    let pick = |kind: &ResourceId, name: &ResourceId, resource: Resource| {
        (kind.matches(&k) && name.matches(&n)).then_some(ResourceId::Id(resource.language))
    };
    let ids = list(cx, module, pick)?;
    if ids.is_empty() {
        return Err(WinError::Code(f::ERROR_RESOURCE_NAME_NOT_FOUND));
    }
    let module = module.0.cast_unsigned();
    enumerate(cx, &ids, false, callback, &[module, kind.addr(), name.addr()], &[parameter as u64])
}

/// A callback that gets text of the kind that its function is of.
#[derive(Debug, Clone, Copy)]
struct EnumCallback {
    at: Func,
    ansi: bool,
}

impl transom_sdk::Arg for EnumCallback {
    const KIND: transom_sdk::Kind = transom_sdk::Kind::Pointer;
    fn fetch(args: &mut transom_sdk::Args<'_>) -> Self {
        Self { at: Func::fetch(args), ansi: args.ansi() }
    }
    fn show(args: &mut transom_sdk::Args<'_>, out: &mut dyn std::fmt::Write) -> std::fmt::Result {
        Func::show(args, out)
    }
}

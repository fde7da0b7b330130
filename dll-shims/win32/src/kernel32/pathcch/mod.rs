//! Paths as text, in buffers whose size is told (`pathcch.h`). What is done to a path is in [`rules`]; here are the buffers
//! and the results. On Windows these are kernelbase's only.

mod rules;

use transom_sdk::{BadAddress, Cx, Out, Ptr, WStr, Win32, foundation as f, mem, shim};
use windows_sys::Win32::UI::Shell::{PATHCCH_MAX_CCH, PATHCCH_NONE};
use windows_sys::core::HRESULT;

use f::{E_INVALIDARG, E_OUTOFMEMORY, S_FALSE, S_OK};

/// `STRSAFE_E_INSUFFICIENT_BUFFER`, which is the HRESULT of a Win32 error.
#[expect(clippy::cast_possible_wrap, reason = "as the header's macro makes it")]
const TOO_SMALL: HRESULT = (0x8007_0000 | f::ERROR_INSUFFICIENT_BUFFER) as i32;

/// A path in the caller's buffer of `units` UTF-16 units.
struct Buffer {
    at: Ptr<u16>,
    units: usize,
}

impl Buffer {
    fn new(at: Ptr<u16>, units: usize) -> Result<Self, HRESULT> {
        let valid = !at.is_null() && units > 0 && units <= PATHCCH_MAX_CCH as usize;
        if valid { Ok(Self { at, units }) } else { Err(E_INVALIDARG) }
    }

    /// The text that is in it, which must end in it.
    fn get(&self) -> Win32<Result<Vec<u16>, HRESULT>> {
        let text = mem::read_wstr(self.at.addr(), self.units)?;
        Ok(if text.len() < self.units { Ok(text) } else { Err(E_INVALIDARG) })
    }

    fn put(&self, text: &[u16]) -> Result<HRESULT, BadAddress> {
        if text.len() >= self.units {
            return Ok(TOO_SMALL);
        }
        self.at.write_slice(&[text, &[0]].concat())?;
        Ok(S_OK)
    }
}

/// The text of a parameter that may be NULL.
fn text(path: Option<WStr>) -> Win32<Vec<u16>> {
    Ok(path.map_or(Ok(Vec::new()), WStr::get)?)
}

/// Changes the path in a buffer: to what `change` makes of it, or not (`S_FALSE`) where it makes nothing of it.
fn edit(
    at: Ptr<u16>,
    units: usize,
    change: impl FnOnce(&[u16]) -> Result<Option<Vec<u16>>, HRESULT>,
) -> Win32<HRESULT> {
    let buffer = match Buffer::new(at, units) {
        Ok(buffer) => buffer,
        Err(code) => return Ok(code),
    };
    Ok(match buffer.get()?.and_then(|path| change(&path)) {
        Ok(Some(changed)) => buffer.put(&changed)?,
        Ok(None) => S_FALSE,
        Err(code) => code,
    })
}

/// A result into a buffer that the caller gave.
fn answer(at: Ptr<u16>, units: usize, made: Result<Vec<u16>, HRESULT>) -> Win32<HRESULT> {
    Ok(match Buffer::new(at, units).and_then(|buffer| Ok((buffer, made?))) {
        Ok((buffer, path)) => buffer.put(&path)?,
        Err(code) => code,
    })
}

/// A result into memory that the caller frees with LocalFree.
fn allocate(cx: &Cx, out: Out<Ptr<u16>>, made: Result<Vec<u16>, HRESULT>) -> Win32<HRESULT> {
    let path = match made {
        Ok(path) => path,
        Err(code) => {
            out.write(cx, Ptr::NULL)?;
            return Ok(code);
        }
    };
    let Some(block) = cx.heaps().process().alloc((path.len() as u64 + 1) * 2, false) else {
        return Ok(E_OUTOFMEMORY);
    };
    let block = Ptr::<u16>::new(block);
    block.write_slice(&[path.as_slice(), &[0]].concat())?;
    out.write(cx, block)?;
    Ok(S_OK)
}

/// Converts a path string into a canonical form, in memory of its own.
#[shim(kernel32)]
fn PathAllocCanonicalize(cx: &Cx, path: Option<WStr>, flags: u32, out: Out<Ptr<u16>>) -> Win32<i32> {
    allocate(cx, out, rules::canonical(&text(path)?, flags))
}

/// Concatenates two path fragments into a single path, in memory of its own.
#[shim(kernel32)]
fn PathAllocCombine(
    cx: &Cx,
    first: Option<WStr>,
    more: Option<WStr>,
    flags: u32,
    out: Out<Ptr<u16>>,
) -> Win32<i32> {
    let both = first.is_some() || more.is_some();
    let made = if both { rules::combined(&text(first)?, &text(more)?, flags) } else { Err(E_INVALIDARG) };
    allocate(cx, out, made)
}

/// Simplifies a path by removing navigation elements such as "." and "..".
#[shim(kernel32)]
fn PathCchCanonicalize(_cx: &Cx, out: Ptr<u16>, units: usize, path: Option<WStr>) -> Win32<i32> {
    answer(out, units, rules::canonical(&text(path)?, PATHCCH_NONE))
}

/// As PathCchCanonicalize, with flags.
#[shim(kernel32)]
fn PathCchCanonicalizeEx(
    _cx: &Cx,
    out: Ptr<u16>,
    units: usize,
    path: Option<WStr>,
    flags: u32,
) -> Win32<i32> {
    answer(out, units, rules::canonical(&text(path)?, flags))
}

/// Combines two path fragments into a single path.
#[shim(kernel32)]
fn PathCchCombine(
    cx: &Cx,
    out: Ptr<u16>,
    units: usize,
    first: Option<WStr>,
    more: Option<WStr>,
) -> Win32<i32> {
    PathCchCombineEx(cx, out, units, first, more, PATHCCH_NONE)
}

/// As PathCchCombine, with flags.
#[shim(kernel32)]
fn PathCchCombineEx(
    _cx: &Cx,
    out: Ptr<u16>,
    units: usize,
    first: Option<WStr>,
    more: Option<WStr>,
    flags: u32,
) -> Win32<i32> {
    if first.is_none() && more.is_none() {
        return Ok(E_INVALIDARG);
    }
    answer(out, units, rules::combined(&text(first)?, &text(more)?, flags))
}

/// Appends one path to the end of another.
#[shim(kernel32)]
fn PathCchAppend(cx: &Cx, path: Ptr<u16>, units: usize, more: Option<WStr>) -> Win32<i32> {
    PathCchAppendEx(cx, path, units, more, PATHCCH_NONE)
}

/// As PathCchAppend, with flags. A backslash at the beginning of what is appended does not make it a root.
#[shim(kernel32)]
fn PathCchAppendEx(_cx: &Cx, path: Ptr<u16>, units: usize, more: Option<WStr>, flags: u32) -> Win32<i32> {
    let more = text(more)?;
    edit(path, units, |path| {
        let rooted = more.starts_with(&[u16::from(b'\\')]) && rules::server_start(&more).is_none();
        rules::combined(path, &more[usize::from(rooted)..], flags).map(Some)
    })
}

/// Adds a backslash to the end of a string to create the correct syntax for a path.
#[shim(kernel32)]
fn PathCchAddBackslash(_cx: &Cx, path: Ptr<u16>, units: usize) -> Win32<i32> {
    edit(path, units, |path| Ok(rules::add_backslash(path)))
}

/// As PathCchAddBackslash; also tells where the string ends and what room is left.
#[shim(kernel32)]
fn PathCchAddBackslashEx(
    cx: &Cx,
    path: Ptr<u16>,
    units: usize,
    end: Option<Out<Ptr<u16>>>,
    left: Option<Out<usize>>,
) -> Win32<i32> {
    let code = edit(path, units, |path| Ok(rules::add_backslash(path)))?;
    tell_end(cx, code, path, units, end, left)
}

/// Removes the trailing backslash from the end of a path string.
#[shim(kernel32)]
fn PathCchRemoveBackslash(_cx: &Cx, path: Ptr<u16>, units: usize) -> Win32<i32> {
    edit(path, units, |path| Ok(rules::remove_backslash(path).map(|len| path[..len].to_vec())))
}

/// As PathCchRemoveBackslash; also tells where the string ends and what room is left.
#[shim(kernel32)]
fn PathCchRemoveBackslashEx(
    cx: &Cx,
    path: Ptr<u16>,
    units: usize,
    end: Option<Out<Ptr<u16>>>,
    left: Option<Out<usize>>,
) -> Win32<i32> {
    let code = PathCchRemoveBackslash(cx, path, units)?;
    tell_end(cx, code, path, units, end, left)
}

fn tell_end(
    cx: &Cx,
    code: HRESULT,
    path: Ptr<u16>,
    units: usize,
    end: Option<Out<Ptr<u16>>>,
    left: Option<Out<usize>>,
) -> Win32<HRESULT> {
    if code >= 0 {
        let len = mem::read_wstr(path.addr(), units)?.len();
        if let Some(end) = end {
            end.write(cx, path.add(cx, len))?;
        }
        if let Some(left) = left {
            left.write(cx, units - len)?;
        }
    }
    Ok(code)
}

/// Removes the last element in a path string, whether that element is a file name or a directory name.
#[shim(kernel32)]
fn PathCchRemoveFileSpec(_cx: &Cx, path: Ptr<u16>, units: usize) -> Win32<i32> {
    edit(path, units, |path| Ok(rules::remove_file_spec(path).map(|len| path[..len].to_vec())))
}

/// Searches a path to find its file name extension.
#[shim(kernel32)]
fn PathCchFindExtension(cx: &Cx, path: Ptr<u16>, units: usize, out: Out<Ptr<u16>>) -> Win32<i32> {
    let found = match Buffer::new(path, units) {
        Ok(buffer) => buffer.get()?.map(|text| path.add(cx, rules::extension_start(&text))),
        Err(code) => Err(code),
    };
    out.write(cx, found.unwrap_or(Ptr::NULL))?;
    Ok(found.err().unwrap_or(S_OK))
}

/// Adds a file name extension to a path string, if it has none.
#[shim(kernel32)]
fn PathCchAddExtension(_cx: &Cx, path: Ptr<u16>, units: usize, extension: WStr) -> Win32<i32> {
    let extension = rules::extension(&extension.get()?);
    edit(path, units, |path| {
        let extension = extension.ok_or(E_INVALIDARG)?;
        Ok((rules::extension_start(path) == path.len()).then(|| [path, &extension].concat()))
    })
}

/// Replaces a file name's extension at the end of a path string.
#[shim(kernel32)]
fn PathCchRenameExtension(_cx: &Cx, path: Ptr<u16>, units: usize, extension: WStr) -> Win32<i32> {
    let extension = rules::extension(&extension.get()?);
    edit(path, units, |path| {
        let extension = extension.ok_or(E_INVALIDARG)?;
        Ok(Some([&path[..rules::extension_start(path)], &extension].concat()))
    })
}

/// Removes the file name extension from a path, if one is present.
#[shim(kernel32)]
fn PathCchRemoveExtension(_cx: &Cx, path: Ptr<u16>, units: usize) -> Win32<i32> {
    edit(path, units, |path| {
        let start = rules::extension_start(path);
        Ok((start < path.len()).then(|| path[..start].to_vec()))
    })
}

/// Retrieves a pointer to the first character in a path following the drive letter or server and share.
#[shim(kernel32)]
fn PathCchSkipRoot(cx: &Cx, path: Option<WStr>, out: Out<Ptr<u16>>) -> Win32<i32> {
    let Some(path) = path else { return Ok(E_INVALIDARG) };
    let root = rules::root_len(&path.get()?);
    if root == 0 {
        return Ok(E_INVALIDARG);
    }
    out.write(cx, Ptr::<u16>::new(path.addr()).add(cx, root))?;
    Ok(S_OK)
}

/// Removes all file and directory elements in a path except for the root information.
#[shim(kernel32)]
fn PathCchStripToRoot(_cx: &Cx, path: Ptr<u16>, units: usize) -> Win32<i32> {
    edit(path, units, |path| match rules::root_len(path) {
        0 => Err(E_INVALIDARG),
        root => Ok((root < path.len()).then(|| path[..root].to_vec())),
    })
}

/// Determines whether a path string refers to the root of a volume.
#[shim(kernel32)]
fn PathCchIsRoot(_cx: &Cx, path: Option<WStr>) -> Win32<bool> {
    let path = text(path)?;
    Ok(!path.is_empty() && rules::root_len(&path) == path.len())
}

/// Removes the "\\?\" prefix, if present, from a file path.
#[shim(kernel32)]
fn PathCchStripPrefix(_cx: &Cx, path: Ptr<u16>, units: usize) -> Win32<i32> {
    edit(path, units, |path| Ok(rules::without_prefix(path)))
}

/// Determines if a path string is a valid Universal Naming Convention (UNC) path, and where its server's name begins.
#[shim(kernel32)]
fn PathIsUNCEx(cx: &Cx, path: WStr, server: Option<Out<Ptr<u16>>>) -> Win32<bool> {
    let start = rules::server_start(&path.get()?);
    if let Some(server) = server {
        server.write(cx, start.map_or(Ptr::NULL, |at| Ptr::<u16>::new(path.addr()).add(cx, at)))?;
    }
    Ok(start.is_some())
}

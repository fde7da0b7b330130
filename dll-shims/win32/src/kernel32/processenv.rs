//! `processenv.h`: standard handles, command line, environment.

use std::collections::HashMap;
use std::sync::Mutex;

use transom_loader::peb;
use transom_sdk::{
    Acp, Cx, Handle, NameStr, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim,
};
use transom_syscalls::path::fold::{equal, upcase};

const STD_INPUT_HANDLE: u32 = windows_sys::Win32::System::Console::STD_INPUT_HANDLE;
const STD_ERROR_HANDLE: u32 = windows_sys::Win32::System::Console::STD_ERROR_HANDLE;
const EQUALS: u16 = b'=' as u16;

/// The A form of the command line, made when first asked for, and what serialises changes of the environment.
#[derive(Default)]
struct State {
    ansi_command_line: Mutex<u64>,
    environment: Mutex<Found>,
}

/// Where variables were found lately: programs ask for the same few again.
#[derive(Default)]
struct Found {
    /// The block that was searched.
    block: u64,
    /// Addresses of entries, by the name asked for.
    entries: HashMap<Vec<u16>, u64>,
}

impl Found {
    /// Names remembered.
    const MOST: usize = 64;

    /// The value of a variable, if its entry is where it was.
    fn value(&self, block: u64, name: &[u16]) -> Option<Vec<u16>> {
        let at = self.entries.get(name).filter(|_| self.block == block)?;
        let mut entry = WStr::new(*at).get().ok()?;
        split(&entry).filter(|(n, _)| equal(n, name))?;
        entry.drain(..=name.len());
        Some(entry)
    }

    fn remember(&mut self, block: u64, name: &[u16], entry: u64) {
        if self.block != block || self.entries.len() == Self::MOST {
            self.entries.clear();
        }
        self.block = block;
        self.entries.insert(name.to_vec(), entry);
    }
}

/// Which of the three a STD_*_HANDLE constant names.
fn std_index(which: u32) -> Win32<u32> {
    if (STD_ERROR_HANDLE..=STD_INPUT_HANDLE).contains(&which) {
        Ok(STD_INPUT_HANDLE - which)
    } else {
        Err(WinError::Code(f::ERROR_INVALID_HANDLE))
    }
}

/// Retrieves a handle to standard input, output or error.
#[shim(kernel32, fails = -1)]
fn GetStdHandle(cx: &Cx, which: u32) -> Win32<Handle> {
    let at = peb::std_handle_at(cx.words(), cx.parameters()?, std_index(which)?);
    Ok(Ptr::<Handle>::new(at).read(cx)?)
}

/// Sets the handle for standard input, output or error.
#[shim(kernel32)]
fn SetStdHandle(cx: &Cx, which: u32, handle: Handle) -> Win32<()> {
    let at = peb::std_handle_at(cx.words(), cx.parameters()?, std_index(which)?);
    Ok(Ptr::<Handle>::new(at).write(cx, handle)?)
}

/// Retrieves the command-line string for the current process.
#[shim(kernel32)]
fn GetCommandLineW(cx: &Cx) -> Win32<Ptr<u16>> {
    let at = peb::command_line_at(cx.words(), cx.parameters()?) + cx.words().size();
    Ok(Ptr::<Ptr<u16>>::new(at).read(cx)?)
}

/// The ANSI form of GetCommandLineW.
#[shim(kernel32)]
fn GetCommandLineA(cx: &Cx) -> Win32<Ptr<u8>> {
    let state = cx.state::<State>();
    let known = *state.ansi_command_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if known != 0 {
        return Ok(Ptr::new(known));
    }
    let wide = WStr::new(GetCommandLineW(cx)?.addr()).get()?;
    let mut text = Acp::encode(&wide);
    text.push(0);
    let block = cx.heaps().process().alloc(text.len() as u64, false);
    let at = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(at, &text)?;
    *state.ansi_command_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = at;
    Ok(Ptr::new(at))
}

/// Address of the environment block.
fn environment(cx: &Cx) -> Win32<u64> {
    let at = peb::environment_at(cx.words(), cx.parameters()?);
    Ok(Ptr::<Ptr<u16>>::new(at).read(cx)?.addr())
}

/// Reads the whole block, with its final terminator.
pub(crate) fn read_block(cx: &Cx) -> Win32<Vec<u16>> {
    read_block_at(environment(cx)?)
}

/// Reads a block of UTF-16 strings, with its final terminator.
pub(crate) fn read_block_at(mut at: u64) -> Win32<Vec<u16>> {
    let mut block = Vec::new();
    loop {
        let entry = WStr::new(at).get()?;
        at += 2 * entry.len() as u64 + 2;
        if entry.is_empty() {
            block.push(0);
            return Ok(block);
        }
        block.extend(entry);
        block.push(0);
    }
}

/// Splits an entry into name and value. Names may begin with an equals sign (`=C:`).
fn split(entry: &[u16]) -> Option<(&[u16], &[u16])> {
    let at = entry.iter().skip(1).position(|&c| c == EQUALS)? + 1;
    Some((&entry[..at], &entry[at + 1..]))
}

/// Where the first zero is. In steps that the compiler makes vector instructions of.
fn find_zero(text: &[u16]) -> Option<usize> {
    const STEP: usize = 16;
    let (steps, rest) = text.as_chunks::<STEP>();
    let with_zero = |step: &[u16; STEP]| step.iter().fold(false, |any, &c| any | (c == 0));
    let before = steps.iter().position(with_zero).unwrap_or(steps.len()) * STEP;
    let tail = text.get(before..).unwrap_or(rest);
    tail.iter().position(|&c| c == 0).map(|at| before + at)
}

/// The value of a variable in the block, which is read page by page until the variable is found.
pub(crate) fn variable(cx: &Cx, name: &[u16]) -> Win32<Option<Vec<u16>>> {
    const PAGE: u64 = transom_syscalls::memory::PAGE;
    let Some(first) = name.first().map(|&c| upcase(c)) else { return Ok(None) };
    let state = cx.state::<State>();
    // Whoever sets a variable replaces the block.
    let mut found = state.environment.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let begin = environment(cx)?;
    if let Some(value) = found.value(begin, name) {
        return Ok(Some(value));
    }
    let mut at = begin;
    let mut block: Vec<u16> = Vec::new();
    let mut start = 0;
    loop {
        let Some(len) = find_zero(&block[start..]) else {
            let units = ((PAGE - at % PAGE) / 2).max(1);
            block.extend(mem::read_vec::<u16>(at, usize::try_from(units).unwrap_or(1))?);
            at += units * 2;
            continue;
        };
        let entry = &block[start..start + len];
        let Some(&begins) = entry.first() else { return Ok(None) };
        if (begins == first || upcase(begins) == first)
            && let Some((n, value)) = split(entry)
            && equal(n, name)
        {
            found.remember(begin, name, begin + 2 * start as u64);
            return Ok(Some(value.to_vec()));
        }
        start += len + 1;
    }
}

/// Retrieves the contents of a variable from the environment block of the calling process.
#[shim(kernel32, ansi)]
fn GetEnvironmentVariableW(cx: &Cx, name: NameStr, out: TextOut, size: u32) -> Win32<u32> {
    let value = variable(cx, &name.get()?)?.ok_or(WinError::Code(f::ERROR_ENVVAR_NOT_FOUND))?;
    cx.set_last_error(f::ERROR_SUCCESS);
    Ok(out.put(&value, size)?)
}

/// Sets, changes or (with NULL) deletes a variable.
#[shim(kernel32, ansi)]
fn SetEnvironmentVariableW(cx: &Cx, name: NameStr, value: Option<WStr>) -> Win32<()> {
    let name = name.get()?;
    if name.is_empty() || name.iter().skip(1).any(|&c| c == EQUALS) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let value = value.map(WStr::get).transpose()?;
    set_variable(cx, &name, value.as_deref())
}

/// Replaces the block by one in which the variable has the value, or is gone.
pub(crate) fn set_variable(cx: &Cx, name: &[u16], value: Option<&[u16]>) -> Win32<()> {
    let state = cx.state::<State>();
    let changing = state.environment.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let old = read_block(cx)?;
    let mut entries: Vec<Vec<u16>> = old
        .split(|&c| c == 0)
        .filter(|e| !e.is_empty() && split(e).is_none_or(|(n, _)| !equal(n, name)))
        .map(<[u16]>::to_vec)
        .collect();
    match value {
        Some(value) => {
            let entry: Vec<u16> = name.iter().copied().chain([EQUALS]).chain(value.iter().copied()).collect();
            let key =
                |e: &[u16]| split(e).map_or(e, |(n, _)| n).iter().map(|&c| upcase(c)).collect::<Vec<_>>();
            let at = entries.partition_point(|e| key(e) < key(&entry));
            entries.insert(at, entry);
        }
        None if entries.len() == old.split(|&c| c == 0).filter(|e| !e.is_empty()).count() => {
            return Err(WinError::Code(f::ERROR_ENVVAR_NOT_FOUND));
        }
        None => {}
    }
    let mut block = entries.join(&0);
    block.push(0);
    block.push(0);
    let at = peb::write_environment(cx.memory(), &block)?;
    let old_at = environment(cx)?;
    Ptr::<Ptr<u16>>::new(peb::environment_at(cx.words(), cx.parameters()?)).write(cx, Ptr::new(at))?;
    // Nobody else refers to the old block: GetEnvironmentStrings copies.
    let _ = cx.memory().free(old_at, 0, windows_sys::Win32::System::Memory::MEM_RELEASE);
    drop(changing);
    Ok(())
}

fn copy_block(cx: &Cx, bytes: &[u8]) -> Win32<u64> {
    let at = cx
        .heaps()
        .process()
        .alloc(bytes.len() as u64, false)
        .ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(at, bytes)?;
    Ok(at)
}

/// Retrieves the environment variables for the current process: a copy, to be freed.
#[shim(kernel32)]
fn GetEnvironmentStringsW(cx: &Cx) -> Win32<Ptr<u16>> {
    let bytes: Vec<u8> = read_block(cx)?.into_iter().flat_map(u16::to_le_bytes).collect();
    copy_block(cx, &bytes).map(Ptr::new)
}

/// The ANSI form of GetEnvironmentStringsW.
#[shim(kernel32(GetEnvironmentStrings, GetEnvironmentStringsA))]
fn GetEnvironmentStringsA(cx: &Cx) -> Win32<Ptr<u8>> {
    let bytes = Acp::encode(&read_block(cx)?);
    copy_block(cx, &bytes).map(Ptr::new)
}

/// Frees a block of environment strings.
#[shim(kernel32)]
fn FreeEnvironmentStringsW(cx: &Cx, block: Ptr<u16>) -> Win32<()> {
    Ok(cx.heaps().process().free(block.addr())?)
}

/// Frees a block of environment strings.
#[shim(kernel32)]
fn FreeEnvironmentStringsA(cx: &Cx, block: Ptr<u8>) -> Win32<()> {
    Ok(cx.heaps().process().free(block.addr())?)
}

/// Expands `%NAME%` in a text.
pub(crate) fn expand(cx: &Cx, text: &[u16]) -> Win32<Vec<u16>> {
    const PERCENT: u16 = b'%' as u16;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.iter().position(|&c| c == PERCENT) {
        out.extend(&rest[..start]);
        let after = &rest[start + 1..];
        let Some(len) = after.iter().position(|&c| c == PERCENT) else {
            rest = &rest[start..];
            break;
        };
        match variable(cx, &after[..len])? {
            Some(value) => {
                out.extend(value);
                rest = &after[len + 1..];
            }
            // Unknown: kept as it is; its closing sign may open the next name.
            None => {
                out.extend(&rest[start..=start + len]);
                rest = &after[len..];
            }
        }
    }
    out.extend(rest);
    Ok(out)
}

/// Expands environment-variable strings. The returned length counts the terminator.
#[shim(kernel32, ansi)]
fn ExpandEnvironmentStringsW(cx: &Cx, text: NameStr, out: TextOut, size: u32) -> Win32<u32> {
    let expanded = expand(cx, &text.get()?)?;
    let len = out.put(&expanded, size)?;
    Ok(if len < size { len + 1 } else { len })
}

#[cfg(test)]
mod tests {
    use super::find_zero;

    #[test]
    fn zeroes_are_found_in_steps_and_rests() {
        for len in 0..50 {
            let mut text = vec![7u16; 50];
            assert_eq!(find_zero(&text[..len]), None);
            text[len] = 0;
            assert_eq!(find_zero(&text), Some(len));
            assert_eq!(find_zero(&text[..len]), None);
        }
    }
}

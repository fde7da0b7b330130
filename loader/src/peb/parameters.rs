//! RTL_USER_PROCESS_PARAMETERS and the environment block.

use transom_cpu::mem;
use transom_syscalls::memory::{Allocation, Memory};
use transom_syscalls::status::Result;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_READWRITE};

use super::{Arena, Words, fault};

/// What a process is started with. Texts are UTF-16 without terminators.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// DOS path of the program.
    pub image_path: Vec<u16>,
    /// The whole command line.
    pub command_line: Vec<u16>,
    /// DOS path of the current directory, with a trailing backslash.
    pub current_directory: Vec<u16>,
    /// Title of the console window.
    pub title: Vec<u16>,
    /// Standard input, output and error handles.
    pub std_handles: [u64; 3],
    /// Name of the desktop (STARTUPINFO's lpDesktop).
    pub desktop: Vec<u16>,
    /// STARTUPINFO's numbers from dwX to dwFlags, then wShowWindow.
    pub window: [u32; 9],
    /// STARTUPINFO's lpReserved2 block.
    pub runtime_data: Vec<u8>,
    /// The environment block: strings with terminators, then a final terminator.
    pub environment: Vec<u16>,
}

/// Writes an environment block into memory of its own and returns its address.
///
/// # Errors
/// If guest memory is exhausted.
pub fn write_environment(memory: &Memory, block: &[u16]) -> Result<u64> {
    let range = memory.allocate(&Allocation {
        size: 2 * block.len() as u64 + 2,
        kind: MEM_RESERVE | MEM_COMMIT,
        protect: PAGE_READWRITE,
        ..Allocation::default()
    })?;
    mem::write_slice(range.base, block).map_err(fault)?;
    Ok(range.base)
}

/// Writes the process parameters and returns their address.
///
/// # Errors
/// If guest memory is exhausted.
pub fn write_parameters(w: Words, memory: &Memory, arena: &mut Arena, p: &Parameters) -> Result<u64> {
    const NORMALIZED: u32 = 1;
    const SIZE: u32 = 0x440;
    /// Room that SetCurrentDirectory may use.
    const PATH_ROOM: u64 = 0x208;
    let at = arena.take(memory, SIZE.into())?;
    let directory = arena.take(memory, PATH_ROOM.max(2 * p.current_directory.len() as u64 + 2))?;
    mem::write_slice(directory, &p.current_directory).map_err(fault)?;
    let image = arena.text(memory, &p.image_path)?;
    let command = arena.text(memory, &p.command_line)?;
    let title = arena.text(memory, &p.title)?;
    let desktop = arena.text(memory, &p.desktop)?;
    let empty = arena.text(memory, &[])?;
    let runtime = arena.take(memory, p.runtime_data.len() as u64 + 2)?;
    mem::copy_out(runtime, &p.runtime_data).map_err(fault)?;
    let environment = write_environment(memory, &p.environment)?;
    let fill = || {
        mem::write(at, &SIZE)?;
        mem::write(at + 4, &SIZE)?;
        mem::write(at + 8, &NORMALIZED)?;
        let std = w.pick(0x18, 0x20);
        for (i, handle) in p.std_handles.iter().enumerate() {
            w.put(at + std + i as u64 * w.size(), *handle)?;
        }
        w.put_string(at + w.pick(0x24, 0x38), p.current_directory.len(), directory)?;
        w.put_string(at + w.pick(0x30, 0x50), 0, empty)?;
        w.put_string(at + w.pick(0x38, 0x60), p.image_path.len(), image)?;
        w.put_string(at + w.pick(0x40, 0x70), p.command_line.len(), command)?;
        w.put(at + w.pick(0x48, 0x80), environment)?;
        mem::write_slice(window_at(w, at), &p.window)?;
        w.put_string(at + w.pick(0x70, 0xB0), p.title.len(), title)?;
        w.put_string(at + w.pick(0x78, 0xC0), p.desktop.len(), desktop)?;
        w.put_string(at + w.pick(0x80, 0xD0), 0, empty)?;
        let data = at + w.pick(0x88, 0xE0);
        mem::write(data, &u16::try_from(p.runtime_data.len()).unwrap_or(0))?;
        mem::write(data + 2, &u16::try_from(p.runtime_data.len()).unwrap_or(0))?;
        w.put(data + w.size(), runtime)?;
        w.put(at + w.pick(0x290, 0x3F0), 2 * p.environment.len() as u64)
    };
    fill().map_err(fault)?;
    Ok(at)
}

/// Address of the process parameters, read from the PEB.
///
/// # Errors
/// If the PEB is not readable.
pub fn parameters_of(w: Words, peb: u64) -> core::result::Result<u64, mem::BadAddress> {
    w.get(peb + w.pick(0x10, 0x20))
}

/// Address of standard handle `index` (0 input, 1 output, 2 error) in process parameters.
#[must_use]
pub fn std_handle_at(w: Words, parameters: u64, index: u32) -> u64 {
    parameters + w.pick(0x18, 0x20) + u64::from(index) * w.size()
}

/// Address of the nine numbers from STARTUPINFO (dwX to dwFlags, wShowWindow; 4 bytes each) in process parameters.
#[must_use]
pub fn window_at(w: Words, parameters: u64) -> u64 {
    parameters + w.pick(0x4C, 0x88)
}

/// Address of the UNICODE_STRING with the title in process parameters; the desktop's follows it, then an unused one, then
/// the runtime's data (lpReserved2).
#[must_use]
pub fn title_at(w: Words, parameters: u64) -> u64 {
    parameters + w.pick(0x70, 0xB0)
}

/// Address of the UNICODE_STRING with the command line in process parameters.
#[must_use]
pub fn command_line_at(w: Words, parameters: u64) -> u64 {
    parameters + w.pick(0x40, 0x70)
}

/// Address of the pointer to the environment block in process parameters.
#[must_use]
pub fn environment_at(w: Words, parameters: u64) -> u64 {
    parameters + w.pick(0x48, 0x80)
}

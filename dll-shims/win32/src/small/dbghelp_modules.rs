//! dbghelp.dll: modules and stacks, which need no symbols.

use transom_cpu::context::Context;
use transom_cpu::unwind::HandlerKind;
use transom_sdk::{
    Cx, Func, Handle, Machine, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim,
};

use crate::ntdll::exception::tables;
use crate::ntdll::exception::walk::{Next, Walk};

/// Retrieves the base address of the module that contains the specified address; 0 if none does.
#[shim(dbghelp)]
fn SymGetModuleBase64(cx: &Cx, _process: Handle, address: u64) -> u64 {
    cx.modules().by_address(address).map_or(0, |module| module.base)
}

/// Retrieves the function table entry for the specified address; NULL if there is none.
#[shim(dbghelp)]
fn SymFunctionTableAccess64(cx: &Cx, _process: Handle, address: u64) -> Ptr<u8> {
    if !cx.is_64() {
        return Ptr::NULL;
    }
    tables::lookup(cx, address).map_or(Ptr::NULL, |function| Ptr::new(function.entry))
}

/// Enumerates the loaded modules of a process: the callback gets each one's path, base and size.
#[shim(
    dbghelp(EnumerateLoadedModulesW64, EnumerateLoadedModulesExW),
    partial = "only of the calling process"
)]
fn EnumerateLoadedModulesW64(cx: &Cx, _process: Handle, callback: Func, user: usize) -> Win32<()> {
    let count = cx.modules().all().len();
    for index in 0..count {
        let Some((name, base, size)) = module_name(cx, index)? else { break };
        let wanted = call(cx, callback, name, base, size, user);
        cx.heaps().process().free(name)?;
        if !wanted {
            break;
        }
    }
    Ok(())
}

/// The path of a module, in a block of the guest's heap; its base and size.
fn module_name(cx: &Cx, index: usize) -> Win32<Option<(u64, u64, u64)>> {
    let modules = cx.modules().all();
    let Some(module) = modules.get(index) else { return Ok(None) };
    let text = [&module.path[..], &[0]].concat();
    let block = cx.heaps().process().alloc(2 * text.len() as u64, false);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::write_slice(block, &text)?;
    Ok(Some((block, module.base, module.size)))
}

/// Calls the callback, whose second argument has 64 bits for 32-bit programs as well.
fn call(cx: &Cx, callback: Func, name: u64, base: u64, size: u64, user: usize) -> bool {
    const HALF: u64 = 0xFFFF_FFFF;
    let answer = if cx.is_64() {
        cx.call(callback, &[name, base, size, user as u64])
    } else {
        cx.call(callback, &[name, base & HALF, base >> 32, size, user as u64])
    };
    answer & HALF != 0
}

/// The path that symbols would be looked for in.
#[derive(Default)]
struct SymbolPath(std::sync::Mutex<Vec<u16>>);

/// Sets the search path for symbols, of which none are read.
#[shim(dbghelp(SymSetSearchPathW))]
fn SymSetSearchPathW(cx: &Cx, _process: Handle, path: Option<WStr>) -> Win32<()> {
    let path = path.map(WStr::get).transpose()?.unwrap_or_default();
    *cx.state::<SymbolPath>().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = path;
    Ok(())
}

/// Retrieves the search path for symbols.
#[shim(dbghelp(SymGetSearchPathW))]
fn SymGetSearchPathW(cx: &Cx, _process: Handle, out: TextOut, room: u32) -> Win32<()> {
    let path = cx.state::<SymbolPath>().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    out.put_truncated(&path, room)?;
    Ok(())
}

/// Offsets in STACKFRAME64, which is the same for 32- and 64-bit programs as far as it is used here.
mod frame {
    pub(super) const PC: u64 = 0;
    pub(super) const RETURN: u64 = 16;
    pub(super) const FRAME: u64 = 32;
    pub(super) const STACK: u64 = 48;
    /// The first of three fields for the walker's own use: whether the walk has begun.
    pub(super) const RESERVED: u64 = 128;
}

/// Obtains a stack trace, a frame with each call. The context says where the walk is.
#[shim(dbghelp(StackWalk64), partial = "only of the calling process; the callbacks are not called")]
fn StackWalk64(
    cx: &Cx,
    _machine: u32,
    _process: Handle,
    _thread: Handle,
    at: Ptr<u8>,
    context: Ptr<u8>,
    _read: Func,
    _table: Func,
    _base: Func,
    _translate: Func,
) -> Win32<bool> {
    let begun: u64 = mem::read(at.addr() + frame::RESERVED)?;
    if cx.machine() == Machine::I386 {
        return x86_frame(at, begun != 0);
    }
    let mut here = Context::load(cx.machine(), context.addr())?;
    if begun != 0 {
        let mut walk = Walk::new(cx, &here, HandlerKind::None);
        match walk.next(None) {
            Next::End => return Ok(false),
            Next::Frame | Next::Level(_) => here = walk.context,
        }
        if here.pc() == 0 || here.pc() == cx.engine().return_trap() {
            return Ok(false);
        }
        here.store(context.addr())?;
    }
    mem::write(at.addr() + frame::PC, &here.pc())?;
    mem::write(at.addr() + frame::FRAME, &here.sp())?;
    mem::write(at.addr() + frame::STACK, &here.sp())?;
    mem::write(at.addr() + frame::RESERVED, &1u64)?;
    Ok(true)
}

/// The next frame of an x86 stack, by the chain of frame pointers.
fn x86_frame(at: Ptr<u8>, begun: bool) -> Win32<bool> {
    let mut pc: u64 = mem::read(at.addr() + frame::PC)?;
    let mut pointer: u64 = mem::read(at.addr() + frame::FRAME)?;
    let read = |at: u64| mem::read::<u32>(at).map(u64::from);
    if begun {
        let (Ok(outer), Ok(back)) = (read(pointer), read(pointer + 4)) else { return Ok(false) };
        // Frames lie above each other; a chain that does not has come to its end.
        if back == 0 || outer <= pointer {
            return Ok(false);
        }
        mem::write(at.addr() + frame::STACK, &(pointer + 8))?;
        (pc, pointer) = (back, outer);
    }
    mem::write(at.addr() + frame::PC, &pc)?;
    mem::write(at.addr() + frame::FRAME, &pointer)?;
    mem::write(at.addr() + frame::RETURN, &read(pointer + 4).unwrap_or(0))?;
    mem::write(at.addr() + frame::RESERVED, &1u64)?;
    Ok(true)
}

//! shell32.dll: what console programs use of it.

pub(crate) mod folders;

use transom_sdk::{Cx, Out, Ptr, WStr, Win32, WinError, cmdline, foundation as f, mem, shim};

/// Parses a command line and returns an array of pointers to the arguments, in one block for LocalFree.
#[shim(shell32)]
fn CommandLineToArgvW(cx: &Cx, line: WStr, count: Out<i32>) -> Win32<Ptr<Ptr<u16>>> {
    let mut text = line.get()?;
    if text.is_empty() {
        // An empty line stands for the program itself.
        text = cx.modules().program().map(|p| p.path.clone()).unwrap_or_default();
        text.insert(0, u16::from(b'"'));
        text.push(u16::from(b'"'));
    }
    let arguments = cmdline::parse_shell32(&text);
    let pointers = (arguments.len() + 1) * cx.size_of::<usize>();
    let size = pointers + arguments.iter().map(|a| 2 * a.len() + 2).sum::<usize>();
    let block =
        cx.heaps().process().alloc(size as u64, true).ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    let array = Ptr::<Ptr<u16>>::new(block);
    let mut at = block + pointers as u64;
    for (i, argument) in arguments.iter().enumerate() {
        array.add(cx, i).write(cx, Ptr::new(at))?;
        mem::write_slice(at, argument)?;
        at += 2 * argument.len() as u64 + 2;
    }
    count.write(cx, i32::try_from(arguments.len()).unwrap_or(i32::MAX))?;
    Ok(array)
}

//! A plug-in that does wrong: its function panics. Transom names it and ends with exit code 125.

use transom_plugin::prelude::*;

transom_plugin::plugin!();

/// Panics.
#[shim(greeting)]
fn GreetW(name: WStr, text: TextOut, size: u32) -> Win32<u32> {
    let name = name.get()?;
    let _ = (text, size);
    panic!("no greeting for {}", String::from_utf16_lossy(&name));
}

//! An example of a plug-in: a DLL that Windows does not have, `greeting.dll`.
//!
//! ```text
//! cargo build -p transom -p example-greeting
//! target/debug/transom --shim target/debug/libexample_greeting.so prog.exe
//! ```

use transom_plugin::prelude::*;

transom_plugin::plugin!();

/// Writes a greeting to a buffer of `size` characters and returns its length: `DWORD Greet(PCWSTR name, PWSTR text, DWORD size)`.
#[shim(greeting, ansi)]
fn GreetW(name: WStr, text: TextOut, size: u32) -> Win32<u32> {
    let mut greeting: Vec<u16> = "Hello, ".encode_utf16().collect();
    greeting.extend(name.get()?);
    greeting.push(u16::from(b'!'));
    Ok(text.put(&greeting, size)?)
}

/// Multiplies 64-bit numbers, to show that they arrive whole in 32-bit programs, too.
#[shim(greeting)]
fn Multiply(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

//! An example of a plug-in that wraps a function: `CreateFileW` (and `CreateFileA`) open what is asked for in one folder in another.
//!
//! ```text
//! cargo build -p transom -p example-redirect
//! REDIRECT='C:\\config=Z:\\srv\\config' target/debug/transom --shim target/debug/libexample_redirect.so prog.exe
//! ```

use transom_plugin::prelude::*;
use transom_plugin::{GuestText, handle};

transom_plugin::plugin!();

/// The two folders, read from the variable `REDIRECT` when first needed.
#[derive(Debug)]
struct State {
    folders: Option<(Vec<u16>, Vec<u16>)>,
}

impl Default for State {
    fn default() -> Self {
        let text = std::env::var("REDIRECT").unwrap_or_default();
        let wide = |s: &str| s.encode_utf16().collect::<Vec<u16>>();
        Self { folders: text.split_once('=').map(|(from, to)| (wide(from), wide(to))) }
    }
}

/// The name to open instead, if the name lies in the folder that is redirected.
fn redirected(state: &State, name: &[u16]) -> Option<Vec<u16>> {
    let (from, to) = state.folders.as_ref()?;
    let lower = |c: &u16| u8::try_from(*c).map_or(*c, |c| c.to_ascii_lowercase().into());
    let (head, rest) = name.split_at_checked(from.len())?;
    let same = head.iter().map(lower).eq(from.iter().map(lower));
    let at_separator = rest.first().is_some_and(|c| [u16::from(b'\\'), u16::from(b'/')].contains(c));
    (same && at_separator).then(|| [to, rest].concat())
}

/// Creates or opens a file, in another folder if it is asked for in the one that is redirected.
#[shim(kernel32, ansi, fails = -1)]
fn CreateFileW(
    cx: &Cx,
    name: WStr,
    access: u32,
    share: u32,
    attributes: Ptr<u8>,
    disposition: u32,
    flags: u32,
    template: Handle,
) -> Win32<Handle> {
    let asked = name.get()?;
    let wanted = redirected(cx.state(), &asked).unwrap_or(asked);
    let out_of_memory = WinError::Code(foundation::ERROR_NOT_ENOUGH_MEMORY);
    let Some(original) = function(cx, "kernel32", "CreateFileW") else {
        return Err(WinError::Code(foundation::ERROR_PROC_NOT_FOUND));
    };
    // Plain addresses across the call: it may never come back (see `Cx::call`).
    let text = GuestText::new(cx, &wanted).ok_or(out_of_memory)?;
    drop(wanted);
    let args = [
        text.address(),
        access.into(),
        share.into(),
        attributes.addr(),
        disposition.into(),
        flags.into(),
        template.0.cast_unsigned(),
    ];
    let file = handle(cx, cx.call(original, &args));
    let error = cx.last_error();
    text.free(cx);
    cx.set_last_error(error);
    if file == Handle::INVALID { Err(WinError::Code(error)) } else { Ok(file) }
}

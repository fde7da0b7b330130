//! `wsprintf` and its relatives: the formatter is `crate::format`.

use transom_sdk::{AStr, Acp, BadAddress, Cx, Ptr, VaList, VarArgs, WStr, Win32, shim};

use crate::format;

/// The most characters that these functions write, the terminator among them.
const MOST: usize = 1024;

fn wide(cx: &Cx, out: Ptr<u16>, format: WStr, arguments: &mut VarArgs) -> Result<i32, BadAddress> {
    let mut text = format::all(&format.get()?, arguments, false, cx.is_64())?;
    text.truncate(MOST - 1);
    let count = i32::try_from(text.len()).unwrap_or(0);
    text.push(0);
    out.write_slice(&text)?;
    Ok(count)
}

fn narrow(cx: &Cx, out: Ptr<u8>, format: AStr, arguments: &mut VarArgs) -> Result<i32, BadAddress> {
    let mut text = Acp::encode(&format::all(&format.to_wide()?, arguments, true, cx.is_64())?);
    text.truncate(MOST - 1);
    let count = i32::try_from(text.len()).unwrap_or(0);
    text.push(0);
    out.write_slice(&text)?;
    Ok(count)
}

/// Writes formatted data to the specified buffer.
#[shim(user32)]
fn wsprintfW(cx: &Cx, out: Ptr<u16>, format: WStr, mut arguments: VarArgs) -> Win32<i32> {
    Ok(wide(cx, out, format, &mut arguments)?)
}

/// Writes formatted data to the specified buffer.
#[shim(user32)]
fn wsprintfA(cx: &Cx, out: Ptr<u8>, format: AStr, mut arguments: VarArgs) -> Win32<i32> {
    Ok(narrow(cx, out, format, &mut arguments)?)
}

/// Writes formatted data to the specified buffer using a pointer to a list of arguments.
#[shim(user32)]
fn wvsprintfW(cx: &Cx, out: Ptr<u16>, format: WStr, arguments: VaList) -> Win32<i32> {
    Ok(wide(cx, out, format, &mut arguments.args())?)
}

/// Writes formatted data to the specified buffer using a pointer to a list of arguments.
#[shim(user32)]
fn wvsprintfA(cx: &Cx, out: Ptr<u8>, format: AStr, arguments: VaList) -> Win32<i32> {
    Ok(narrow(cx, out, format, &mut arguments.args())?)
}

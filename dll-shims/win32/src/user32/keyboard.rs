//! Keys: their codes, scan codes and characters, of a US keyboard; whether they are held, which nobody knows. The mouse is where
//! it was never moved from.

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Win32, shim};
use transom_syscalls::console_input::key_of;
use windows_sys::Win32::UI::Input::KeyboardAndMouse as k;

/// Scan codes of keys, in the order of the codes on the keyboard.
#[rustfmt::skip]
const KEYS: [(u16, u16); 78] = [
    (k::VK_ESCAPE, 0x01), (k::VK_1, 0x02), (k::VK_2, 0x03), (k::VK_3, 0x04), (k::VK_4, 0x05), (k::VK_5, 0x06),
    (k::VK_6, 0x07), (k::VK_7, 0x08), (k::VK_8, 0x09), (k::VK_9, 0x0A), (k::VK_0, 0x0B), (k::VK_OEM_MINUS, 0x0C),
    (k::VK_OEM_PLUS, 0x0D), (k::VK_BACK, 0x0E), (k::VK_TAB, 0x0F), (k::VK_Q, 0x10), (k::VK_W, 0x11), (k::VK_E, 0x12),
    (k::VK_R, 0x13), (k::VK_T, 0x14), (k::VK_Y, 0x15), (k::VK_U, 0x16), (k::VK_I, 0x17), (k::VK_O, 0x18),
    (k::VK_P, 0x19), (k::VK_OEM_4, 0x1A), (k::VK_OEM_6, 0x1B), (k::VK_RETURN, 0x1C), (k::VK_CONTROL, 0x1D),
    (k::VK_A, 0x1E), (k::VK_S, 0x1F), (k::VK_D, 0x20), (k::VK_F, 0x21), (k::VK_G, 0x22), (k::VK_H, 0x23),
    (k::VK_J, 0x24), (k::VK_K, 0x25), (k::VK_L, 0x26), (k::VK_OEM_1, 0x27), (k::VK_OEM_7, 0x28), (k::VK_OEM_3, 0x29),
    (k::VK_SHIFT, 0x2A), (k::VK_OEM_5, 0x2B), (k::VK_Z, 0x2C), (k::VK_X, 0x2D), (k::VK_C, 0x2E), (k::VK_V, 0x2F),
    (k::VK_B, 0x30), (k::VK_N, 0x31), (k::VK_M, 0x32), (k::VK_OEM_COMMA, 0x33), (k::VK_OEM_PERIOD, 0x34),
    (k::VK_OEM_2, 0x35), (k::VK_MENU, 0x38), (k::VK_SPACE, 0x39), (k::VK_CAPITAL, 0x3A), (k::VK_F1, 0x3B),
    (k::VK_F2, 0x3C), (k::VK_F3, 0x3D), (k::VK_F4, 0x3E), (k::VK_F5, 0x3F), (k::VK_F6, 0x40), (k::VK_F7, 0x41),
    (k::VK_F8, 0x42), (k::VK_F9, 0x43), (k::VK_F10, 0x44), (k::VK_HOME, 0x47), (k::VK_UP, 0x48), (k::VK_PRIOR, 0x49),
    (k::VK_LEFT, 0x4B), (k::VK_RIGHT, 0x4D), (k::VK_END, 0x4F), (k::VK_DOWN, 0x50), (k::VK_NEXT, 0x51),
    (k::VK_INSERT, 0x52), (k::VK_DELETE, 0x53), (k::VK_F11, 0x57), (k::VK_F12, 0x58),
];

/// The character of a key, with shift or without.
fn character(code: u16, shift: bool) -> Option<u16> {
    let lower = |unit: &u16| !(0x41..=0x5A).contains(unit) || shift;
    (0x08..0x7F).filter(lower).find(|unit| key_of(*unit) == Some((code, shift)))
}

fn map(code: u32, kind: u32) -> u32 {
    const EXTENDED: u32 = 0xE000;
    let Ok(code) = u16::try_from(code) else { return 0 };
    let scan_of =
        |code: u16| KEYS.iter().find(|(key, _)| *key == code).map_or(0, |(_, scan)| u32::from(*scan));
    let key_at = |scan: u16| KEYS.iter().find(|(_, s)| *s == scan).map_or(0, |(key, _)| u32::from(*key));
    // The keys of the block between letters and numbers, whose scan codes the number keys have too.
    let is_extended = matches!(code, k::VK_PRIOR..=k::VK_DOWN | k::VK_INSERT | k::VK_DELETE);
    match kind {
        k::MAPVK_VK_TO_VSC => scan_of(code),
        k::MAPVK_VSC_TO_VK | k::MAPVK_VSC_TO_VK_EX => key_at(code & 0xFF),
        k::MAPVK_VK_TO_CHAR => {
            let unit = character(code, false).map_or(0, u32::from);
            // Letters are told in upper case.
            if (0x61..=0x7A).contains(&unit) { unit - 0x20 } else { unit }
        }
        k::MAPVK_VK_TO_VSC_EX if is_extended => scan_of(code) | EXTENDED,
        k::MAPVK_VK_TO_VSC_EX => scan_of(code),
        _ => 0,
    }
}

/// Translates a virtual-key code into a scan code or character value, or a scan code into a virtual-key code.
#[shim(user32(MapVirtualKeyW, MapVirtualKeyA))]
fn MapVirtualKeyW(code: u32, kind: u32) -> u32 {
    map(code, kind)
}

/// As MapVirtualKey, for a keyboard layout, of which there is one.
#[shim(user32(MapVirtualKeyExW, MapVirtualKeyExA))]
fn MapVirtualKeyExW(code: u32, kind: u32, _layout: Handle) -> u32 {
    map(code, kind)
}

/// Translates a character to the corresponding virtual-key code and shift state; -1 if no key types it.
#[shim(user32(VkKeyScanW, VkKeyScanA))]
fn VkKeyScanW(unit: u16) -> i16 {
    key_of(unit).map_or(-1, |(code, shift)| (code | u16::from(shift) << 8).cast_signed())
}

/// As VkKeyScan, for a keyboard layout, of which there is one.
#[shim(user32(VkKeyScanExW, VkKeyScanExA))]
fn VkKeyScanExW(unit: u16, _layout: Handle) -> i16 {
    VkKeyScanW(unit)
}

fn to_unicode(cx: &Cx, code: u32, state: Ptr<u8>, out: Ptr<u16>, room: i32) -> Win32<i32> {
    const HELD: u8 = 0x80;
    let held = |key: u16| -> Win32<bool> { Ok(state.add(cx, key.into()).read(cx)? & HELD != 0) };
    let (shift, control) = (held(k::VK_SHIFT)?, held(k::VK_CONTROL)?);
    let unit = u16::try_from(code).ok().and_then(|code| character(code, shift));
    let Some(unit) = unit.filter(|_| room > 0) else { return Ok(0) };
    // Control makes the characters below the space of letters.
    let unit = if control && (0x40..0x7F).contains(&unit) { unit & 0x1F } else { unit };
    out.write(cx, unit)?;
    Ok(1)
}

/// Translates a virtual-key code and keyboard state to characters.
#[shim(user32)]
fn ToUnicode(
    cx: &Cx,
    code: u32,
    _scan: u32,
    state: Ptr<u8>,
    out: Ptr<u16>,
    room: i32,
    _flags: u32,
) -> Win32<i32> {
    to_unicode(cx, code, state, out, room)
}

/// As ToUnicode, for a keyboard layout, of which there is one.
#[shim(user32)]
fn ToUnicodeEx(
    cx: &Cx,
    code: u32,
    _scan: u32,
    state: Ptr<u8>,
    out: Ptr<u16>,
    room: i32,
    _flags: u32,
    _layout: Handle,
) -> Win32<i32> {
    to_unicode(cx, code, state, out, room)
}

/// Retrieves the input locale identifier of a thread: the layout is the US one.
#[shim(user32)]
fn GetKeyboardLayout(_thread: u32) -> Handle {
    Handle(0x0409_0409)
}

/// Retrieves the keyboard layouts: one.
#[shim(user32)]
fn GetKeyboardLayoutList(cx: &Cx, room: i32, list: Ptr<Handle>) -> Win32<i32> {
    if room > 0 {
        list.write(cx, GetKeyboardLayout(0))?;
    }
    Ok(1)
}

/// Whether a key is held: a terminal does not tell, and no window has the focus.
#[shim(user32(GetKeyState, GetAsyncKeyState))]
fn GetKeyState(_key: i32) -> i16 {
    0
}

/// Copies the status of the keys: none is held.
#[shim(user32)]
fn GetKeyboardState(_cx: &Cx, out: Ptr<u8>) -> Win32<()> {
    Ok(out.write_slice(&[0; 256])?)
}

/// POINT.
#[derive(Guest, Debug, Clone, Copy)]
struct Point {
    x: i32,
    y: i32,
}

/// Retrieves the position of the mouse cursor, in the middle of the screen that there would be.
#[shim(user32)]
fn GetCursorPos(cx: &Cx, out: Out<Point>) -> Win32<()> {
    Ok(out.write(cx, Point { x: 512, y: 384 })?)
}

/// Retrieves the double-click time.
#[shim(user32)]
fn GetDoubleClickTime() -> u32 {
    500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_scan_codes_and_characters() {
        assert_eq!(map(u32::from(k::VK_A), k::MAPVK_VK_TO_VSC), 0x1E);
        assert_eq!(map(0x1E, k::MAPVK_VSC_TO_VK), u32::from(k::VK_A));
        assert_eq!(map(u32::from(k::VK_A), k::MAPVK_VK_TO_CHAR), 0x41);
        assert_eq!(map(u32::from(k::VK_LEFT), k::MAPVK_VK_TO_VSC_EX), 0xE04B);
        assert_eq!(character(k::VK_0 + 5, true), Some(u16::from(b'%')));
        assert_eq!(VkKeyScanW(u16::from(b'%')), 0x135);
        assert_eq!(VkKeyScanW(0xE9), -1);
        assert!(KEYS.is_sorted_by_key(|(_, scan)| *scan));
    }
}

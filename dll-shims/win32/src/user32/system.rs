//! What console programs ask of user32: metrics, the window station, message boxes, which nobody would see.

use transom_sdk::{Cx, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::UI::WindowsAndMessaging as w;

/// Retrieves the specified system metric: of a system without screen, mouse and other devices.
#[shim(user32)]
fn GetSystemMetrics(index: i32) -> i32 {
    match index {
        w::SM_CXSCREEN | w::SM_CXVIRTUALSCREEN | w::SM_CXFULLSCREEN | w::SM_CXMAXIMIZED => 1024,
        w::SM_CYSCREEN | w::SM_CYVIRTUALSCREEN | w::SM_CYFULLSCREEN | w::SM_CYMAXIMIZED => 768,
        w::SM_CMONITORS | w::SM_SAMEDISPLAYFORMAT => 1,
        w::SM_CXICON | w::SM_CYICON | w::SM_CXCURSOR | w::SM_CYCURSOR => 32,
        w::SM_CXSMICON | w::SM_CYSMICON => 16,
        // Not in safe mode, no server, no remote session, and so on.
        _ => 0,
    }
}

/// Handles of the station and desktop, which are none of the handle table's.
const STATION: Handle = Handle(0x1001);
const DESKTOP: Handle = Handle(0x1005);

/// Retrieves a handle to the current window station for the calling process.
#[shim(user32)]
fn GetProcessWindowStation() -> Handle {
    STATION
}

/// Retrieves a handle to the desktop assigned to the specified thread.
#[shim(user32)]
fn GetThreadDesktop(_thread: u32) -> Handle {
    DESKTOP
}

/// Retrieves a handle to the desktop window.
#[shim(user32)]
fn GetDesktopWindow() -> Handle {
    Handle(0x1_0010)
}

/// USEROBJECTFLAGS without any: not to be inherited, not visible.
const FLAGS: [u8; 12] = [0; 12];

fn object_information(
    cx: &Cx,
    object: Handle,
    index: i32,
    out: Ptr<u8>,
    size: u32,
    needed: Ptr<u32>,
    encode: impl FnOnce(&str) -> Vec<u8>,
) -> Win32<()> {
    use windows_sys::Win32::System::StationsAndDesktops as d;
    let (name, kind) = match object {
        STATION => ("WinSta0", "WindowStation"),
        DESKTOP => ("Default", "Desktop"),
        _ => return Err(WinError::Code(f::ERROR_INVALID_HANDLE)),
    };
    let bytes = match index {
        d::UOI_NAME => encode(name),
        d::UOI_TYPE => encode(kind),
        d::UOI_FLAGS => FLAGS.to_vec(),
        _ => return Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    };
    let bytes_needed = u32::try_from(bytes.len()).unwrap_or(0);
    needed.write_opt(cx, bytes_needed)?;
    if size < bytes_needed {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(out.write_slice(&bytes)?)
}

/// Retrieves information about a window station or desktop: its name and kind, and that it is not visible.
#[shim(user32)]
fn GetUserObjectInformationW(
    cx: &Cx,
    object: Handle,
    index: i32,
    out: Ptr<u8>,
    size: u32,
    needed: Ptr<u32>,
) -> Win32<()> {
    let encode = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    object_information(cx, object, index, out, size, needed, encode)
}

/// The ANSI form.
#[shim(user32)]
fn GetUserObjectInformationA(
    cx: &Cx,
    object: Handle,
    index: i32,
    out: Ptr<u8>,
    size: u32,
    needed: Ptr<u32>,
) -> Win32<()> {
    object_information(cx, object, index, out, size, needed, |text| text.bytes().chain([0]).collect())
}

/// Says what would have been shown.
fn report(call: &str, title: Option<WStr>, text: Option<WStr>) -> Win32<i32> {
    let get = |t: Option<WStr>| t.map(WStr::get).transpose().map(Option::unwrap_or_default);
    let (title, text) = (get(title)?, get(text)?);
    let title = if title.is_empty() { "Error".to_owned() } else { String::from_utf16_lossy(&title) };
    eprintln!(
        "transom: {call} cannot show its window; it says: [{title}] {}",
        String::from_utf16_lossy(&text).trim_end()
    );
    Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
}

/// Displays a modal dialog box: its title and text go to the standard error, and the call fails.
#[shim(user32, ansi)]
fn MessageBoxW(_cx: &Cx, _owner: Handle, text: Option<WStr>, title: Option<WStr>, _kind: u32) -> Win32<i32> {
    report("MessageBox", title, text)
}

/// Displays a modal dialog box: its title and text go to the standard error, and the call fails.
#[shim(user32, ansi)]
fn MessageBoxExW(
    _cx: &Cx,
    _owner: Handle,
    text: Option<WStr>,
    title: Option<WStr>,
    _kind: u32,
    _language: u16,
) -> Win32<i32> {
    report("MessageBoxEx", title, text)
}

/// Plays a sound: there is nothing to play it.
#[shim(user32)]
fn MessageBeep(_kind: u32) -> Win32<()> {
    Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
}

/// Windows of the calling thread and of others: there are none.
#[shim(user32(GetActiveWindow, GetForegroundWindow, GetFocus, GetShellWindow))]
fn GetActiveWindow() -> Handle {
    Handle::NULL
}

/// Determines which pop-up window owned by the specified window was most recently active: itself, as it owns none.
#[shim(user32)]
fn GetLastActivePopup(window: Handle) -> Handle {
    window
}

/// Functions on a window, of which none exists.
#[shim(user32(DestroyWindow, CloseWindow, ShowWindow, IsIconic, IsWindowVisible, SetForegroundWindow))]
fn DestroyWindow(_window: Handle) -> Win32<()> {
    Err(WinError::Code(f::ERROR_INVALID_WINDOW_HANDLE))
}

/// Determines whether the specified window handle identifies an existing window: none does.
#[shim(user32)]
fn IsWindow(_window: Handle) -> bool {
    false
}

/// Retrieves the thread that created a window: no window exists.
#[shim(user32)]
fn GetWindowThreadProcessId(_cx: &Cx, _window: Handle, _process: Option<Out<u32>>) -> Win32<u32> {
    Err(WinError::Code(f::ERROR_INVALID_WINDOW_HANDLE))
}

/// Creates a window: there is no screen.
#[shim(user32, ansi)]
fn CreateWindowExW(
    _cx: &Cx,
    _ex_style: u32,
    _class: WStr,
    title: Option<WStr>,
    _style: u32,
    _x: i32,
    _y: i32,
    _width: i32,
    _height: i32,
    _parent: Handle,
    _menu: Handle,
    _instance: Handle,
    _parameter: usize,
) -> Win32<Handle> {
    let title = title.map(WStr::get).transpose()?.unwrap_or_default();
    eprintln!(
        "transom: CreateWindowEx cannot open a window{}: there is no screen",
        if title.is_empty() { String::new() } else { format!(" ({})", String::from_utf16_lossy(&title)) }
    );
    Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
}

//! Shims of the Win32 DLLs.

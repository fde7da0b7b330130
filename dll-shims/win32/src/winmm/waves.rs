//! `mmeapi.h`: sound devices. There are none, which the functions say as documented.

use transom_sdk::{Ptr, shim};
use windows_sys::Win32::Media::{MMSYSERR_BADDEVICEID, MMSYSERR_INVALHANDLE};

/// Retrieves the number of devices: none.
#[shim(winmm(
    waveOutGetNumDevs,
    waveInGetNumDevs,
    midiOutGetNumDevs,
    midiInGetNumDevs,
    auxGetNumDevs,
    mixerGetNumDevs
))]
fn waveOutGetNumDevs() -> u32 {
    0
}

/// Queries the capabilities of a device: there is none of that number.
#[shim(winmm(waveOutGetDevCapsW, waveOutGetDevCapsA, waveInGetDevCapsW, waveInGetDevCapsA))]
fn waveOutGetDevCapsW(_device: usize, _out: Ptr<u8>, _size: u32) -> u32 {
    MMSYSERR_BADDEVICEID
}

/// Opens a device: there is none.
#[shim(winmm(waveOutOpen, waveInOpen))]
fn waveOutOpen(
    _out: Ptr<u8>,
    _device: u32,
    _format: Ptr<u8>,
    _callback: usize,
    _instance: usize,
    _flags: u32,
) -> u32 {
    MMSYSERR_BADDEVICEID
}

/// Closes, resets, or starts a device: none is open.
#[shim(winmm(
    waveOutClose,
    waveOutReset,
    waveOutPause,
    waveOutRestart,
    waveInClose,
    waveInReset,
    waveInStart,
    waveInStop
))]
fn waveOutClose(_device: usize) -> u32 {
    MMSYSERR_INVALHANDLE
}

/// Prepares, sends, or cleans up a buffer: no device is open.
#[shim(winmm(
    waveOutPrepareHeader,
    waveOutUnprepareHeader,
    waveOutWrite,
    waveInPrepareHeader,
    waveInUnprepareHeader,
    waveInAddBuffer
))]
fn waveOutWrite(_device: usize, _header: Ptr<u8>, _size: u32) -> u32 {
    MMSYSERR_INVALHANDLE
}

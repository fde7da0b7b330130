//! `utilapiset.h`: pointer encoding, beeps.

use transom_cpu::leaf::thread as leaf;
use transom_sdk::{Cx, Ptr, shim};

/// Encodes the specified pointer: guards against overwritten function pointers.
#[shim(
    kernel32(EncodePointer, EncodeSystemPointer),
    ntdll(RtlEncodePointer, RtlEncodeSystemPointer),
    leaf = transom_cpu::leaf::thread::encode_pointer
)]
fn EncodePointer(cx: &Cx, pointer: Ptr<u8>) -> Ptr<u8> {
    Ptr::new(leaf::encode(cx.machine(), pointer.addr()))
}

/// Decodes a pointer that was encoded by EncodePointer.
#[shim(
    kernel32(DecodePointer, DecodeSystemPointer),
    ntdll(RtlDecodePointer, RtlDecodeSystemPointer),
    leaf = transom_cpu::leaf::thread::decode_pointer
)]
fn DecodePointer(cx: &Cx, pointer: Ptr<u8>) -> Ptr<u8> {
    Ptr::new(leaf::decode(cx.machine(), pointer.addr()))
}

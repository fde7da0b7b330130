//! The fields of KUSER_SHARED_DATA that stay as they are.
//!
//! Documentation: `KUSER_SHARED_DATA` (ntddk.h), `IsProcessorFeaturePresent`.

use crate::sysinfo::{self, Architecture};
use crate::time::PERFORMANCE_FREQUENCY;
use windows_sys::Wdk::System::SystemServices::{KUSER_SHARED_DATA, StandardDesign};
use windows_sys::Win32::System::Kernel::NtProductWinNt;
use windows_sys::Win32::System::SystemInformation::{
    IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64, PROCESSOR_ARCHITECTURE_AMD64,
    PROCESSOR_ARCHITECTURE_ARM64,
};
use windows_sys::Win32::System::SystemServices::{VER_SUITE_SINGLEUSERTS, VER_SUITE_TERMINAL};
use windows_sys::Win32::System::Threading as pf;

/// 2^24 milliseconds in a tick of 15.625 ms: `ticks * multiplier >> 24` is `GetTickCount`.
const TICK_COUNT_MULTIPLIER: u32 = 0x0fa0_0000;

/// Fills in everything but the clocks; the rest must be zero.
pub(super) fn fill(data: &mut KUSER_SHARED_DATA, machine: Architecture) {
    // 32-bit programs run on 64-bit Windows, whose page this is.
    let (number, architecture) = match machine {
        Architecture::X86 | Architecture::Amd64 => (IMAGE_FILE_MACHINE_AMD64, PROCESSOR_ARCHITECTURE_AMD64),
        Architecture::Arm64 => (IMAGE_FILE_MACHINE_ARM64, PROCESSOR_ARCHITECTURE_ARM64),
    };
    data.TickCountMultiplier = TICK_COUNT_MULTIPLIER;
    data.ImageNumberLow = number;
    data.ImageNumberHigh = number;
    for (to, from) in data.NtSystemRoot.iter_mut().zip("C:\\Windows".encode_utf16()) {
        *to = from;
    }
    data.LargePageMinimum = 2 << 20;
    data.NtBuildNumber = sysinfo::OS_BUILD;
    data.NtProductType = NtProductWinNt;
    data.ProductTypeIsValid = true;
    data.NativeProcessorArchitecture = architecture;
    data.NtMajorVersion = sysinfo::OS_MAJOR;
    data.NtMinorVersion = sysinfo::OS_MINOR;
    for feature in features(machine) {
        if let Some(present) = data.ProcessorFeatures.get_mut(feature as usize) {
            *present = true;
        }
    }
    data.AlternativeArchitecture = StandardDesign;
    data.BootId = 1;
    data.SuiteMask = VER_SUITE_TERMINAL | VER_SUITE_SINGLEUSERTS;
    data.ActiveConsoleId = 1;
    data.NumberOfPhysicalPages = u32::try_from(sysinfo::physical_memory() / 4096).unwrap_or(u32::MAX);
    data.QpcFrequency = PERFORMANCE_FREQUENCY;
    data.Cookie = cookie();
    data.ActiveProcessorCount = sysinfo::processor_count();
    data.ActiveGroupCount = 1;
    data.UnparkedProcessorCount = u16::try_from(data.ActiveProcessorCount).unwrap_or(1);
    if machine != Architecture::Arm64 {
        // x87 and SSE always; AVX and AVX-512 state where the processor has them.
        data.XState.EnabledFeatures = 3 | state_components();
    }
}

/// What `EncodeSystemPointer` mixes in.
fn cookie() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0);
    u32::try_from(random >> 32).unwrap_or(0)
}

/// The `PF_*` that `IsProcessorFeaturePresent` answers yes to, for guests of `machine`.
#[must_use]
pub fn features(machine: Architecture) -> Vec<pf::PROCESSOR_FEATURE_ID> {
    let mut list = vec![pf::PF_COMPARE_EXCHANGE_DOUBLE, pf::PF_NX_ENABLED, pf::PF_FASTFAIL_AVAILABLE];
    if machine == Architecture::Arm64 {
        // What the Unicorn engine's ARM64 processor offers.
        list.extend([
            pf::PF_COMPARE_EXCHANGE128,
            pf::PF_ARM_VFP_32_REGISTERS_AVAILABLE,
            pf::PF_ARM_NEON_INSTRUCTIONS_AVAILABLE,
            pf::PF_ARM_DIVIDE_INSTRUCTION_AVAILABLE,
            pf::PF_ARM_64BIT_LOADSTORE_ATOMIC,
            pf::PF_ARM_FMAC_INSTRUCTIONS_AVAILABLE,
            pf::PF_ARM_V8_INSTRUCTIONS_AVAILABLE,
        ]);
        return list;
    }
    list.extend([
        pf::PF_MMX_INSTRUCTIONS_AVAILABLE,
        pf::PF_XMMI_INSTRUCTIONS_AVAILABLE,
        pf::PF_XMMI64_INSTRUCTIONS_AVAILABLE,
        pf::PF_RDTSC_INSTRUCTION_AVAILABLE,
        pf::PF_PAE_ENABLED,
        pf::PF_SSE_DAZ_MODE_AVAILABLE,
    ]);
    list.extend(detected());
    list
}

#[cfg(target_arch = "x86_64")]
fn detected() -> impl Iterator<Item = pf::PROCESSOR_FEATURE_ID> {
    use std::is_x86_feature_detected as has;
    [
        (has!("sse3"), pf::PF_SSE3_INSTRUCTIONS_AVAILABLE),
        (has!("ssse3"), pf::PF_SSSE3_INSTRUCTIONS_AVAILABLE),
        (has!("sse4.1"), pf::PF_SSE4_1_INSTRUCTIONS_AVAILABLE),
        (has!("sse4.2"), pf::PF_SSE4_2_INSTRUCTIONS_AVAILABLE),
        (has!("avx"), pf::PF_AVX_INSTRUCTIONS_AVAILABLE),
        (has!("avx2"), pf::PF_AVX2_INSTRUCTIONS_AVAILABLE),
        (has!("avx512f"), pf::PF_AVX512F_INSTRUCTIONS_AVAILABLE),
        (has!("cmpxchg16b"), pf::PF_COMPARE_EXCHANGE128),
        (has!("xsave"), pf::PF_XSAVE_ENABLED),
        (has!("rdrand"), pf::PF_RDRAND_INSTRUCTION_AVAILABLE),
    ]
    .into_iter()
    .filter_map(|(present, feature)| present.then_some(feature))
}

#[cfg(not(target_arch = "x86_64"))]
fn detected() -> impl Iterator<Item = pf::PROCESSOR_FEATURE_ID> {
    // x86 guests run on Unicorn there, whose processor has these.
    [pf::PF_SSE3_INSTRUCTIONS_AVAILABLE, pf::PF_COMPARE_EXCHANGE128].into_iter()
}

#[cfg(target_arch = "x86_64")]
fn state_components() -> u64 {
    let avx = if std::is_x86_feature_detected!("avx") { 0b100 } else { 0 };
    let avx512 = if std::is_x86_feature_detected!("avx512f") { 0b1110_0000 } else { 0 };
    avx | avx512
}

#[cfg(not(target_arch = "x86_64"))]
fn state_components() -> u64 {
    0
}

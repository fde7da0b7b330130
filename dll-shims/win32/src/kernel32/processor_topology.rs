//! `sysinfoapi.h`, `processtopologyapi.h`, `systemtopologyapi.h`: cores, packages, caches, NUMA nodes, processor groups.
//!
//! Linux numbers processors as it likes and a process may use only some; guests see the usable ones numbered from 0, each
//! a core of its own, in one package, one NUMA node and one group.

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::sysinfo::{self, Cache, CacheKind};
use windows_sys::Win32::System::SystemInformation as si;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::{process_of, word};
use super::process_times::{ProcessorNumber, system_mask};
use super::processthreadsapi::thread_of;

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);
const TOO_SMALL: WinError = WinError::Code(f::ERROR_INSUFFICIENT_BUFFER);

/// What the functions describe: a relationship, the processors that it concerns, and a cache.
#[derive(Clone, Copy)]
struct Item {
    relation: i32,
    mask: u64,
    cache: Option<Cache>,
}

/// Everything there is, in the order in which Windows lists it.
fn items(wanted: Option<i32>) -> Vec<Item> {
    let all = sysinfo::affinity_mask();
    let each = (0..all.count_ones()).map(|n| 1u64 << n);
    let mut items = Vec::new();
    let mut add = |relation, mask, cache| items.push(Item { relation, mask, cache });
    add(si::RelationProcessorPackage, all, None);
    for mask in each {
        add(si::RelationProcessorCore, mask, None);
        for cache in sysinfo::caches().into_iter().filter(|c| c.level < 3) {
            add(si::RelationCache, mask, Some(cache));
        }
    }
    for cache in sysinfo::caches().into_iter().filter(|c| c.level >= 3) {
        add(si::RelationCache, all, Some(cache));
    }
    add(si::RelationNumaNode, all, None);
    add(si::RelationGroup, all, None);
    items.retain(|i| wanted.is_none_or(|w| w == i.relation));
    items
}

/// PROCESSOR_CACHE_TYPE.
fn cache_kind(kind: CacheKind) -> i32 {
    match kind {
        CacheKind::Unified => si::CacheUnified,
        CacheKind::Instruction => si::CacheInstruction,
        CacheKind::Data => si::CacheData,
    }
}

/// SYSTEM_LOGICAL_PROCESSOR_INFORMATION; the last 16 bytes are a union.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::SystemInformation::SYSTEM_LOGICAL_PROCESSOR_INFORMATION)]
struct LogicalProcessor {
    mask: usize,
    relation: i32,
    details: [u64; 2],
}

fn logical(item: Item) -> Option<LogicalProcessor> {
    let details = match item.cache {
        None => [0, 0],
        Some(c) => [
            u64::from(c.level)
                | u64::from(c.associativity) << 8
                | u64::from(c.line) << 16
                | u64::from(c.size) << 32,
            u64::from(cache_kind(c.kind).cast_unsigned()),
        ],
    };
    let mask = usize::try_from(item.mask).ok()?;
    (item.relation != si::RelationGroup).then_some(LogicalProcessor {
        mask,
        relation: item.relation,
        details,
    })
}

/// Retrieves information about logical processors and related hardware.
#[shim(kernel32)]
fn GetLogicalProcessorInformation(cx: &Cx, out: Ptr<u8>, len: Ptr<u32>) -> Win32<()> {
    let all: Vec<_> = items(None).into_iter().filter_map(logical).collect();
    let size = cx.size_of::<LogicalProcessor>();
    let needed = u32::try_from(all.len() * size).unwrap_or(u32::MAX);
    let room = len.read(cx)?;
    len.write(cx, needed)?;
    if room < needed || out.is_null() {
        return Err(TOO_SMALL);
    }
    for (index, item) in all.into_iter().enumerate() {
        let mask = item.mask & cx.word_max();
        out.cast::<LogicalProcessor>().add(cx, index).write(cx, LogicalProcessor { mask, ..item })?;
    }
    Ok(())
}

/// An entry of SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX as bytes. `wide`: whether words of the guest have 8 bytes.
fn extended(item: Item, wide: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(80);
    let mut put = |part: &[u8]| bytes.extend_from_slice(part);
    // GROUP_AFFINITY: mask, group, three reserved words.
    let word = if wide { 8 } else { 4 };
    let mask = item.mask.to_le_bytes();
    put(&item.relation.to_le_bytes());
    put(&[0; 4]);
    match (item.relation, item.cache) {
        (si::RelationCache, Some(c)) => {
            put(&[c.level, c.associativity]);
            put(&c.line.to_le_bytes());
            put(&c.size.to_le_bytes());
            put(&cache_kind(c.kind).to_le_bytes());
            put(&[0; 18]);
            put(&1u16.to_le_bytes());
        }
        (si::RelationNumaNode, _) => {
            // Node number, 18 reserved bytes, group count.
            put(&[0; 22]);
            put(&1u16.to_le_bytes());
        }
        (si::RelationGroup, _) => {
            // Maximum and active groups, then PROCESSOR_GROUP_INFO.
            put(&1u16.to_le_bytes());
            put(&1u16.to_le_bytes());
            put(&[0; 20]);
            let count = u8::try_from(item.mask.count_ones()).unwrap_or(64);
            put(&[count, count]);
            put(&[0; 38]);
            put(&mask[..word]);
            return sized(bytes);
        }
        _ => {
            // PROCESSOR_RELATIONSHIP: flags, efficiency class, 20 reserved bytes, group count.
            put(&[0; 22]);
            put(&1u16.to_le_bytes());
        }
    }
    put(&mask[..word]);
    put(&[0; 8]);
    sized(bytes)
}

/// Fills in the size that an entry begins with after its relationship.
fn sized(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(0);
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// Retrieves information about the relationships of logical processors and related hardware.
#[shim(kernel32)]
fn GetLogicalProcessorInformationEx(cx: &Cx, relation: i32, out: Ptr<u8>, len: Ptr<u32>) -> Win32<()> {
    let wanted = match relation {
        si::RelationAll => None,
        si::RelationNumaNodeEx => Some(si::RelationNumaNode),
        si::RelationProcessorCore..=si::RelationNumaNodeEx => Some(relation),
        _ => return Err(INVALID_PARAMETER),
    };
    let bytes: Vec<u8> = items(wanted).into_iter().flat_map(|i| extended(i, cx.is_64())).collect();
    let needed = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let room = len.read(cx)?;
    len.write(cx, needed)?;
    if room < needed || out.is_null() {
        return Err(TOO_SMALL);
    }
    Ok(mem::copy_out(out.addr(), &bytes)?)
}

/// Returns the number of processors in a group, or in the system.
#[shim(kernel32(GetActiveProcessorCount, GetMaximumProcessorCount))]
fn GetActiveProcessorCount(group: u16) -> Win32<u32> {
    match group {
        0 | t::ALL_PROCESSOR_GROUPS => Ok(sysinfo::processor_count()),
        _ => Err(INVALID_PARAMETER),
    }
}

/// Returns the number of processor groups: one.
#[shim(kernel32(GetActiveProcessorGroupCount, GetMaximumProcessorGroupCount))]
fn GetActiveProcessorGroupCount() -> u16 {
    1
}

/// Retrieves the node that currently has the highest number: the only one.
#[shim(kernel32)]
fn GetNumaHighestNodeNumber(cx: &Cx, out: Out<u32>) -> Win32<()> {
    Ok(out.write(cx, 0)?)
}

/// Retrieves the processor mask for the specified node.
#[shim(kernel32)]
fn GetNumaNodeProcessorMask(cx: &Cx, node: u8, out: Out<u64>) -> Win32<()> {
    if node != 0 {
        return Err(INVALID_PARAMETER);
    }
    Ok(out.write(cx, sysinfo::affinity_mask())?)
}

/// Retrieves the node of a processor.
#[shim(kernel32)]
fn GetNumaProcessorNode(cx: &Cx, processor: u8, out: Out<u8>) -> Win32<()> {
    let known = u32::from(processor) < sysinfo::processor_count();
    out.write(cx, if known { 0 } else { u8::MAX })?;
    if known { Ok(()) } else { Err(INVALID_PARAMETER) }
}

/// Retrieves the node of a processor with a group.
#[shim(kernel32)]
fn GetNumaProcessorNodeEx(cx: &Cx, processor: Ptr<ProcessorNumber>, out: Out<u16>) -> Win32<()> {
    processor.read(cx)?;
    Ok(out.write(cx, 0)?)
}

/// GROUP_AFFINITY.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::SystemInformation::GROUP_AFFINITY)]
pub(crate) struct GroupAffinity {
    mask: usize,
    group: u16,
    reserved: [u16; 3],
}

/// Retrieves the processor mask for a node.
#[shim(kernel32)]
fn GetNumaNodeProcessorMaskEx(cx: &Cx, node: u16, out: Out<GroupAffinity>) -> Win32<()> {
    if node != 0 {
        return Err(INVALID_PARAMETER);
    }
    Ok(out.write(cx, GroupAffinity { mask: system_mask(cx)?, group: 0, reserved: [0; 3] })?)
}

/// Retrieves the amount of memory available in the specified node.
#[shim(kernel32(GetNumaAvailableMemoryNode, GetNumaAvailableMemoryNodeEx))]
fn GetNumaAvailableMemoryNodeEx(cx: &Cx, node: u16, out: Out<u64>) -> Win32<()> {
    if node != 0 {
        return Err(INVALID_PARAMETER);
    }
    Ok(out.write(cx, sysinfo::memory_status().available)?)
}

/// Retrieves the processor group affinity of the specified thread.
#[shim(kernel32)]
fn GetThreadGroupAffinity(cx: &Cx, thread: Handle, out: Out<GroupAffinity>) -> Win32<()> {
    let thread = thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?;
    let mask = word(thread.affinity()?)? & system_mask(cx)?;
    Ok(out.write(cx, GroupAffinity { mask, group: 0, reserved: [0; 3] })?)
}

/// Sets the processor group affinity for the specified thread.
#[shim(kernel32)]
fn SetThreadGroupAffinity(
    cx: &Cx,
    thread: Handle,
    wanted: Ptr<GroupAffinity>,
    previous: Ptr<GroupAffinity>,
) -> Win32<()> {
    let thread = thread_of(cx, thread, t::THREAD_SET_INFORMATION)?;
    let wanted = wanted.read(cx)?;
    if wanted.group != 0 || wanted.mask == 0 || wanted.reserved != [0; 3] {
        return Err(INVALID_PARAMETER);
    }
    let before = word(thread.affinity()?)? & system_mask(cx)?;
    thread.set_affinity(wanted.mask as u64)?;
    Ok(previous.write_opt(cx, GroupAffinity { mask: before, group: 0, reserved: [0; 3] })?)
}

/// Retrieves the processor groups of a process.
#[shim(kernel32)]
fn GetProcessGroupAffinity(cx: &Cx, process: Handle, count: Ptr<u16>, out: Ptr<u16>) -> Win32<()> {
    process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let room = count.read(cx)?;
    count.write(cx, 1)?;
    if room == 0 {
        return Err(TOO_SMALL);
    }
    Ok(out.write(cx, 0)?)
}

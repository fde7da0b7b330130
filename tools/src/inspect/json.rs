//! The report for programs. Fields are added over time, never renamed; numbers are plain, addresses are RVAs unless called otherwise.

use serde_json::{Value, json};
use transom_loader::pe::ExportTarget;

use super::names;
use super::report::{Report, manifest_facts};
use crate::coverage::{From, Mark, Source};

/// The report as JSON.
pub(super) fn json(report: &Report) -> Value {
    let needs = &report.needs;
    json!({
        "file": report.path,
        "size": report.headers.file_size,
        "verdict": {
            "starts": report.verdict.starts,
            "text": report.verdict.text,
            "missing_dlls": needs.missing_dlls(),
            "missing_functions": needs.missing_symbols(),
            "partial_functions": needs.partial_symbols(),
        },
        "headers": headers(report),
        "toolchain": {
            "hints": report.toolchain.hints,
            "linker": [report.toolchain.linker.0, report.toolchain.linker.1],
            "rich": report.toolchain.rich.iter().map(|r| json!({ "product": r.product, "build": r.build, "count": r.count })).collect::<Vec<_>>(),
        },
        "sections": sections(report),
        "modules": needs.modules.iter().map(|(name, imports)| json!({
            "name": name,
            "imports": imports.iter().map(import).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "export_name": report.export_name,
        "exports": report.exports.iter().map(|(name, export)| {
            let (rva, forwarder) = match &export.target {
                ExportTarget::Address(rva) => (Some(*rva), None),
                ExportTarget::Forwarder(to) => (None, Some(format!("{}.{}", to.dll, to.symbol))),
            };
            json!({ "name": name.as_ref().map(|n| n.to_text()), "ordinal": export.ordinal, "rva": rva, "forwarder": forwarder })
        }).collect::<Vec<_>>(),
        "tls": report.tls.as_ref().map(|(tls, callbacks)| json!({
            "template": tls.template,
            "template_size": tls.template_size,
            "zero_fill": tls.zero_fill,
            "alignment": tls.alignment,
            "callbacks": callbacks,
        })),
        "relocations": report.relocations,
        "unwind_entries": report.functions,
        "load_config": report.load_config.as_ref().map(|c| json!({
            "safe_handlers": c.safe_handlers.map(|t| t.count),
            "guard_functions": c.guard_functions.map(|t| t.count),
        })),
        "resources": report.resources.iter().map(|r| json!({
            "type": r.kind.to_string(),
            "name": r.name.to_string(),
            "language": r.resource.language,
            "rva": r.resource.rva,
            "size": r.resource.size,
        })).collect::<Vec<_>>(),
        "version": report.version.as_ref().map(|v| json!({
            "file": v.file,
            "product": v.product,
            "texts": v.texts.iter().cloned().map(|(k, v)| (k, Value::from(v))).collect::<serde_json::Map<_, _>>(),
        })),
        "manifest": report.manifest,
        "manifest_facts": report.manifest.as_deref().map(manifest_facts),
        "debug": report.debug.iter().map(|d| json!({
            "type": names::debug_kind(d.entry.kind),
            "size": d.entry.size,
            "rva": d.entry.rva,
            "file_offset": d.entry.file_offset,
            "pdb": d.pdb.as_ref().map(|p| p.path.to_text()),
            "pdb_guid": d.pdb.as_ref().map(|p| p.guid.iter().map(|b| format!("{b:02x}")).collect::<String>()),
            "pdb_age": d.pdb.as_ref().map(|p| p.age),
        })).collect::<Vec<_>>(),
        "signature_size": report.signature,
        "overlay_size": report.overlay,
        "managed": report.managed,
        "errors": report.errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn headers(report: &Report) -> Value {
    let h = &report.headers;
    json!({
        "machine": h.machine.to_string(),
        "kind": if h.is_dll() { "dll" } else { "program" },
        "subsystem": names::subsystem(h.subsystem),
        "subsystem_number": h.subsystem,
        "characteristics": h.characteristics,
        "characteristics_names": names::characteristics(h.characteristics),
        "dll_characteristics": h.dll_characteristics,
        "dll_characteristics_names": names::dll_characteristics(h.dll_characteristics),
        "time_date_stamp": h.time_date_stamp,
        "image_base": h.image_base,
        "entry_point": h.entry_point,
        "size_of_image": h.size_of_image,
        "size_of_headers": h.size_of_headers,
        "section_alignment": h.section_alignment,
        "file_alignment": h.file_alignment,
        "checksum": h.checksum,
        "os_version": [h.os_version.0, h.os_version.1],
        "subsystem_version": [h.subsystem_version.0, h.subsystem_version.1],
        "stack": [h.stack_reserve, h.stack_commit],
        "heap": [h.heap_reserve, h.heap_commit],
        "directories": h.directories.iter().zip(names::DIRECTORIES).filter(|(d, _)| d.rva != 0).map(|(d, name)| {
            json!({ "name": name, "rva": d.rva, "size": d.size })
        }).collect::<Vec<_>>(),
    })
}

fn sections(report: &Report) -> Vec<Value> {
    let sections = report.headers.sections.iter();
    sections
        .map(|s| {
            json!({
                "name": String::from_utf8_lossy(s.name.bytes()),
                "rva": s.rva,
                "virtual_size": s.virtual_size,
                "file_offset": s.file_offset,
                "file_size": s.file_size,
                "characteristics": s.characteristics,
            })
        })
        .collect()
}

fn import(from: &From) -> Value {
    let (source, served_by) = match &from.source {
        Source::BuiltIn(name) => ("builtin", Some((*name).to_owned())),
        Source::File(path) => ("file", Some(path.display().to_string())),
        Source::Missing => ("missing", None),
    };
    json!({
        "dll": from.dll,
        "source": source,
        "served_by": served_by,
        "delayed": from.delayed,
        "functions": from.symbols.iter().map(|s| {
            let (state, note) = match s.mark {
                Mark::Full => ("implemented", None),
                Mark::Partial(note) => ("partial", Some(note)),
                Mark::Missing => ("missing", None),
            };
            json!({ "name": s.symbol, "known_as": s.known_as, "state": state, "note": note })
        }).collect::<Vec<_>>(),
    })
}

//! Everything that is known of a file, collected once; `text` and `json` only print it.
//!
//! A malformed directory leaves its part empty and an entry in `errors`; only headers that cannot be read refuse the file.

use std::path::Path;

use transom_loader::pe::resources::{Resource, ResourceId, version};
use transom_loader::pe::{
    self, DebugEntry, Export, ExportTarget, FileImage, Headers, LoadConfig, Pe, PeError, TlsDirectory,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR, IMAGE_DIRECTORY_ENTRY_SECURITY,
};

use super::toolchain::{Toolchain, toolchain};
use crate::coverage::{self, Closure};
use crate::output::count;

/// A resource: type, name and place.
pub(super) struct ResourceEntry {
    pub(super) kind: ResourceId,
    pub(super) name: ResourceId,
    pub(super) resource: Resource,
}

/// Version information.
#[derive(Default)]
pub(super) struct Version {
    pub(super) file: Option<[u16; 4]>,
    pub(super) product: Option<[u16; 4]>,
    /// The texts of the first language: `CompanyName` and the like.
    pub(super) texts: Vec<(String, String)>,
}

/// A debug entry and, if it names one, its PDB file.
pub(super) struct Debug {
    pub(super) entry: DebugEntry,
    pub(super) pdb: Option<pe::CodeView>,
}

/// Whether it will start.
pub(super) struct Verdict {
    pub(super) starts: bool,
    /// In a sentence.
    pub(super) text: String,
}

/// A file, examined.
pub(super) struct Report {
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) toolchain: Toolchain,
    /// The file first, then the DLLs beside it that it loads.
    pub(super) needs: Closure,
    pub(super) export_name: Option<String>,
    pub(super) exports: Vec<(Option<pe::Name>, Export)>,
    pub(super) tls: Option<(TlsDirectory, Vec<u32>)>,
    pub(super) load_config: Option<LoadConfig>,
    pub(super) relocations: usize,
    pub(super) functions: u32,
    pub(super) resources: Vec<ResourceEntry>,
    pub(super) version: Option<Version>,
    pub(super) manifest: Option<String>,
    pub(super) debug: Vec<Debug>,
    /// Bytes of the certificate table, which is not verified.
    pub(super) signature: Option<u32>,
    /// Bytes behind the last section and the signature: what installers and bundles carry.
    pub(super) overlay: u64,
    pub(super) managed: bool,
    pub(super) errors: Vec<PeError>,
    pub(super) verdict: Verdict,
}

impl Report {
    /// Examines a file's bytes.
    ///
    /// # Errors
    /// Headers that cannot be read.
    pub(super) fn new(path: &Path, bytes: &[u8]) -> Result<Self, PeError> {
        let pe = Pe::parse_as_data(bytes)?;
        let (imports, mut errors) = coverage::imports(
            &pe,
            path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }),
        );
        let headers = pe.headers().clone();
        let image = pe.image();
        let errors_in = &mut errors;
        let (export_name, exports) = exports(&image, &headers, errors_in);
        let (resources, version, manifest) = resources(&image, &headers, errors_in);
        let survey = pe::survey(&image, &headers);
        let mut report = Self {
            path: path.display().to_string(),
            toolchain: toolchain(bytes, &pe),
            needs: coverage::closure(coverage::file_name(path), imports),
            export_name,
            exports,
            tls: tls(&image, &headers, errors_in),
            load_config: noted(pe::load_config(&image, &headers), errors_in).flatten(),
            relocations: survey.relocations,
            functions: survey.functions,
            resources,
            version,
            manifest,
            debug: debug(&image, &headers, errors_in),
            signature: signature(&headers),
            overlay: overlay(&headers),
            managed: headers.directory(IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR).is_some(),
            headers,
            errors: Vec::new(),
            verdict: Verdict { starts: false, text: String::new() },
        };
        // The survey walks what is not shown here, too.
        errors.extend(survey.errors);
        errors.dedup();
        let mut unique: Vec<PeError> = Vec::new();
        for error in errors {
            if !unique.contains(&error) {
                unique.push(error);
            }
        }
        report.errors = unique;
        report.verdict = report.judge();
        Ok(report)
    }

    /// Whether it will start, and what it will lack.
    fn judge(&self) -> Verdict {
        let no = |text: String| Verdict { starts: false, text: format!("will not start: {text}") };
        if let Err(error) = self.headers.check_runnable() {
            return no(error.to_string());
        }
        let dlls = self.needs.missing_dlls();
        if !dlls.is_empty() {
            return no(format!("no {}, which it imports from", dlls.join(", no ")));
        }
        let what = if self.headers.is_dll() { "will load" } else { "will start" };
        let missing = self.needs.missing_symbols();
        let mut text = if missing.is_empty() {
            format!("{what}; all {} that it imports are there", count(self.needs.counts().1, "function"))
        } else {
            format!(
                "{what}; {} missing, which it fails at when it calls them: {}",
                count(missing.len(), "function"),
                shortened(&missing)
            )
        };
        let delayed: Vec<&str> = self.needs.missing_delayed();
        if !delayed.is_empty() {
            text.push_str(&format!(
                "; {} that it loads on first use only: {}",
                if delayed.len() == 1 { "no DLL" } else { "no DLLs" },
                delayed.join(", ")
            ));
        }
        if !self.headers.is_console() && !self.headers.is_dll() {
            text.push_str("; it is a program with windows, which Transom does not show");
        }
        Verdict { starts: true, text }
    }
}

/// Names listed in a verdict.
const LISTED: usize = 8;

/// The first few of a list, and how many more.
fn shortened(names: &[String]) -> String {
    let mut text = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}

/// A value, or its error put with the others.
fn noted<T>(result: Result<T, PeError>, errors: &mut Vec<PeError>) -> Option<T> {
    result.map_err(|e| errors.push(e)).ok()
}

type Exports = (Option<String>, Vec<(Option<pe::Name>, Export)>);

fn exports(image: &FileImage<'_>, headers: &Headers, errors: &mut Vec<PeError>) -> Exports {
    let Some(Some(table)) = noted(pe::exports(image, headers), errors) else { return Exports::default() };
    let name = noted(table.dll_name(image), errors).map(|n| n.to_string());
    let mut all = Vec::new();
    noted(table.for_each(image, |name, export| all.push((name, export))), errors);
    (name, all)
}

fn tls(
    image: &FileImage<'_>,
    headers: &Headers,
    errors: &mut Vec<PeError>,
) -> Option<(TlsDirectory, Vec<u32>)> {
    let directory = noted(pe::tls(image, headers), errors)??;
    let callbacks = directory.callbacks(image).map_while(|c| noted(c, errors)).collect();
    Some((directory, callbacks))
}

type Resources = (Vec<ResourceEntry>, Option<Version>, Option<String>);

fn resources(image: &FileImage<'_>, headers: &Headers, errors: &mut Vec<PeError>) -> Resources {
    let Some(tree) = pe::resources(headers) else { return (Vec::new(), None, None) };
    let mut all = Vec::new();
    let walked = tree.for_each(image, |kind, name, resource| {
        all.push(ResourceEntry { kind: kind.clone(), name: name.clone(), resource });
        true
    });
    noted(walked, errors);
    let first = |kind: &ResourceId| all.iter().find(|r| r.kind.matches(kind)).map(|r| r.resource);
    let version = first(&ResourceId::VERSION)
        .and_then(|r| noted(tree.data(image, r), errors))
        .map(|block| read_version(&block));
    let manifest =
        first(&ResourceId::MANIFEST).and_then(|r| noted(tree.data(image, r), errors)).map(|bytes| {
            String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes)).into_owned()
        });
    (all, version, manifest)
}

fn read_version(block: &[u8]) -> Version {
    let fixed = version::fixed(block);
    let root: Vec<u16> = "\\StringFileInfo".encode_utf16().collect();
    let texts = version::query(block, &root)
        .and_then(|node| node.children(block).next())
        .map(|language| {
            let texts = language.children(block);
            texts.map(|n| (String::from_utf16_lossy(&n.key), n.string(block))).collect()
        })
        .unwrap_or_default();
    Version { file: fixed.map(|f| f.file_version), product: fixed.map(|f| f.product_version), texts }
}

fn debug(image: &FileImage<'_>, headers: &Headers, errors: &mut Vec<PeError>) -> Vec<Debug> {
    let entries = noted(pe::debug_entries(image, headers), errors).unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| Debug { pdb: noted(entry.code_view(image, headers), errors).flatten(), entry })
        .collect()
}

/// The certificate table's size; the table's place is a file offset.
fn signature(headers: &Headers) -> Option<u32> {
    let table = headers.directory(IMAGE_DIRECTORY_ENTRY_SECURITY)?;
    let end = u64::from(table.rva) + u64::from(table.size);
    (table.size >= 8 && end <= headers.file_size).then_some(table.size)
}

fn overlay(headers: &Headers) -> u64 {
    let end = headers
        .sections
        .iter()
        .map(|s| s.file_offset.saturating_add(s.file_size.into()))
        .max()
        .unwrap_or(headers.size_of_headers.into());
    let rest = headers.file_size.saturating_sub(end);
    rest.saturating_sub(signature(headers).unwrap_or(0).into())
}

/// What a manifest says about running, as `name=value`.
pub(super) fn manifest_facts(manifest: &str) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(level) = attribute(manifest, "requestedExecutionLevel", "level") {
        facts.push(format!("runs {level}"));
    }
    for name in ["activeCodePage", "longPathAware", "gdiScaling", "heapType"] {
        if let Some(value) = element(manifest, name) {
            facts.push(format!("{name} {value}"));
        }
    }
    if let Some(at) = manifest.find("<dependency")
        && let Some(name) = attribute(&manifest[at..], "assemblyIdentity", "name")
    {
        facts.push(format!("depends on {name}"));
    }
    facts
}

/// The value of an attribute of the first element of that name.
fn attribute<'a>(xml: &'a str, element: &str, name: &str) -> Option<&'a str> {
    let from = xml.find(element)? + element.len();
    let tag = &xml[from..];
    let tag = &tag[..tag.find('>')?];
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let value = rest[at + name.len()..].trim_start();
        let word_begins = rest[..at].chars().next_back().is_some_and(char::is_whitespace);
        if let (Some(value), true) = (value.strip_prefix('='), word_begins) {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            return value[1..].split(quote).next();
        }
        rest = &rest[at + name.len()..];
    }
}

/// The text of the first element of that name, whatever its prefix and attributes.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let openings = [format!("{name}>"), format!("{name} ")];
    let at = openings.iter().filter_map(|opening| xml.find(opening.as_str())).min()?;
    let inner = &xml[at..];
    let inner = &inner[inner.find('>')? + 1..];
    Some(inner[..inner.find('<')?].trim())
}

/// What leads where, for exports.
pub(super) fn target(export: &Export) -> String {
    match &export.target {
        ExportTarget::Address(rva) => format!("{rva:#x}"),
        ExportTarget::Forwarder(to) => format!("{}.{}", to.dll, to.symbol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_summed_up() {
        let xml = r#"<assembly><trustInfo><security><requestedPrivileges>
            <requestedExecutionLevel uiAccess="false" level = 'asInvoker'/></requestedPrivileges></security></trustInfo>
            <asmv3:windowsSettings><activeCodePage xmlns="http://x">UTF-8</activeCodePage>
            <ws2:longPathAware> true </ws2:longPathAware></asmv3:windowsSettings></assembly>"#;
        assert_eq!(manifest_facts(xml), ["runs asInvoker", "activeCodePage UTF-8", "longPathAware true"]);
        for broken in [
            "",
            "requestedExecutionLevel",
            "requestedExecutionLevel level=>",
            "<activeCodePage>",
            "level=\"x",
        ] {
            assert!(manifest_facts(broken).is_empty(), "{broken}");
        }
    }

    /// Numbers that look random, the same in every run.
    fn random(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 16).unwrap_or(0)
    }

    /// `TRANSOM_MUTATIONS` says how many files are tried; a panic or an endless loop fails.
    #[test]
    fn mutated_files_are_reported_or_refused() {
        let wanted = std::env::var("TRANSOM_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(600usize);
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-binaries/bin");
        let files: Vec<Vec<u8>> =
            ["x64-mingw/sampledll.dll", "x86-mingw/sampledll.dll", "arm64-zig/hello.exe"]
                .iter()
                .map(|name| std::fs::read(samples.join(name)).unwrap())
                .collect();
        let mut state = 0x9E37_79B9_7F4A_7C15;
        let mut reported = 0;
        for round in 0..wanted {
            let mut bytes = files[round % files.len()].clone();
            for _ in 0..=random(&mut state) % 8 {
                // Headers and section table are hit more often than their share.
                let room = if random(&mut state).is_multiple_of(2) { 0x400 } else { bytes.len() };
                let at = random(&mut state) % room.min(bytes.len());
                let value = [0, 1, 0x7F, 0x80, 0xFF, bytes[at].wrapping_add(1), b'R'][random(&mut state) % 7];
                bytes[at] = value;
            }
            if random(&mut state).is_multiple_of(16) {
                bytes.truncate(random(&mut state) % bytes.len());
            }
            if let Ok(report) = Report::new(Path::new("/nowhere/mutated.dll"), &bytes) {
                reported += 1;
                assert!(
                    !super::super::text::text(&report, true, crate::output::Style(false)).contains('\x1b')
                );
                assert!(super::super::json::json(&report).is_object());
            }
        }
        assert!(reported > wanted / 10, "{reported} of {wanted}");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..10).map(|n| format!("f{n}")).collect();
        assert!(shortened(&names).ends_with("f7 and 2 more"));
        assert_eq!(shortened(&names[..2]), "f0, f1");
    }
}

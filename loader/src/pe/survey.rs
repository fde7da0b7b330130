//! A walk over everything an image has: what `transom inspect` counts, and what the fuzzers exercise.

use super::error::PeError;
use super::headers::Headers;
use super::image::{ImageBytes, Name};
use super::resources::{self, ResourceId, messages, version};
use super::{
    debug_entries, delay_imports, exception_table, exports, imports, load_config, relocations,
    resources as open_resources, tls,
};

/// How many entries of each kind an image has, and what is wrong with its directories.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// DLLs imported from.
    pub dlls: Vec<Name>,
    /// Symbols imported.
    pub imports: usize,
    /// DLLs loaded on first use.
    pub delay_dlls: Vec<Name>,
    /// Symbols imported from those.
    pub delay_imports: usize,
    /// Exports with names, without, and (of both) forwarders.
    pub exports: (usize, usize, usize),
    /// Relocations.
    pub relocations: usize,
    /// TLS callbacks; `None` without a TLS directory.
    pub tls_callbacks: Option<usize>,
    /// Entries of the exception directory.
    pub functions: u32,
    /// x86: safe exception handlers; `None` without such a table.
    pub safe_handlers: Option<usize>,
    /// Path of the PDB file.
    pub pdb: Option<Name>,
    /// Resources.
    pub resources: usize,
    /// Version of the file.
    pub version: Option<[u16; 4]>,
    /// Languages and code pages of the version block's texts.
    pub translations: Vec<(u16, u16)>,
    /// Messages in the message table.
    pub messages: usize,
    /// What is wrong, at most one error a directory.
    pub errors: Vec<PeError>,
}

/// Walks all directories of an image to their ends.
pub fn survey<I: ImageBytes + ?Sized>(image: &I, headers: &Headers) -> Survey {
    let mut survey = Survey::default();
    let steps = [
        walk_imports,
        walk_delay_imports,
        walk_exports,
        walk_relocations,
        walk_tls,
        walk_code,
        walk_resources,
    ];
    for step in steps {
        if let Err(error) = step(image, headers, &mut survey) {
            survey.errors.push(error);
        }
    }
    survey
}

fn walk_imports<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    for dll in &imports(image, headers) {
        let dll = dll?;
        for import in dll.symbols() {
            import?;
            survey.imports += 1;
        }
        survey.dlls.push(dll.name);
    }
    Ok(())
}

fn walk_delay_imports<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    for dll in &delay_imports(image, headers) {
        let dll = dll?;
        for import in dll.symbols() {
            import?;
            survey.delay_imports += 1;
        }
        survey.delay_dlls.push(dll.name);
    }
    Ok(())
}

fn walk_exports<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    let Some(exports) = exports(image, headers)? else { return Ok(()) };
    exports.dll_name(image)?;
    let (named, nameless, forwarders) = &mut survey.exports;
    let mut last = None;
    exports.for_each(image, |name, export| {
        *if name.is_some() { &mut *named } else { &mut *nameless } += 1;
        *forwarders += usize::from(matches!(export.target, super::ExportTarget::Forwarder(_)));
        last = name.or(last.take());
    })?;
    if let Some(name) = last {
        exports.by_name(image, &name, None)?;
    }
    Ok(())
}

fn walk_relocations<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    for relocation in relocations(image, headers)? {
        relocation?;
        survey.relocations += 1;
    }
    Ok(())
}

fn walk_tls<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    let Some(tls) = tls(image, headers)? else { return Ok(()) };
    let mut count = 0;
    for callback in tls.callbacks(image) {
        callback?;
        count += 1;
    }
    survey.tls_callbacks = Some(count);
    Ok(())
}

/// The directories about code: load configuration, exceptions, debug.
fn walk_code<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    if let Some(config) = load_config(image, headers)? {
        for table in [config.safe_handlers, config.guard_functions].into_iter().flatten() {
            for rva in table.iter(image, headers) {
                rva?;
            }
        }
        survey.safe_handlers = config.safe_handlers.map(|table| table.count as usize);
    }
    if let Some(table) = exception_table(headers)? {
        survey.functions = table.count;
        table.find(image, headers.entry_point)?;
        for index in 0..table.count {
            table.get(image, index)?;
        }
    }
    for entry in debug_entries(image, headers)? {
        if let Some(code_view) = entry.code_view(image, headers)? {
            survey.pdb = Some(code_view.path);
        }
    }
    Ok(())
}

fn walk_resources<I: ImageBytes + ?Sized>(
    image: &I,
    headers: &Headers,
    survey: &mut Survey,
) -> Result<(), PeError> {
    let Some(resources) = open_resources(headers) else { return Ok(()) };
    let mut version_block = None;
    let mut message_table = None;
    resources.for_each(image, |kind, _, resource| {
        survey.resources += 1;
        if kind.matches(&ResourceId::VERSION) {
            version_block = Some(resource);
        } else if kind.matches(&ResourceId::MESSAGE_TABLE) {
            message_table = Some(resource);
        }
        true
    })?;
    if let Some(resource) = version_block {
        let block = resources.data(image, resource)?;
        survey.version = version::fixed(&block).map(|info| info.file_version);
        survey.translations = version::translations(&block);
    }
    if let Some(resource) = message_table {
        survey.messages = messages::all(&resources.data(image, resource)?).count();
    }
    resources.string(image, 1, resources::Language::User(0))?;
    resources.manifest(image, if headers.is_dll() { 2 } else { 1 })?;
    Ok(())
}

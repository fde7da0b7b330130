//! Choosing and loading the engine.

use std::path::{Path, PathBuf};

use transom_cpu::engine::Engine;
use transom_cpu::external;
use transom_cpu::machine::Machine;
use transom_sdk::Process;

use crate::cli::EngineChoice;

/// The engine for a machine, or why there is none.
pub(crate) fn create(
    choice: EngineChoice,
    machine: Machine,
    process: &'static Process,
) -> Result<Box<dyn Engine>, String> {
    match (choice, machine) {
        #[cfg(target_arch = "x86_64")]
        (EngineChoice::Auto | EngineChoice::Native, Machine::Amd64) => {
            Ok(Box::new(transom_cpu::native64::Native64::new(process)))
        }
        #[cfg(target_arch = "x86_64")]
        (EngineChoice::Auto | EngineChoice::Native, Machine::I386) => {
            let support = process.engine_support().map_err(|e| format!("no room for the engine: {e:?}"))?;
            Ok(Box::new(transom_cpu::native32::Native32::new(process, support)?))
        }
        (EngineChoice::Native, _) => Err(format!("this host cannot run {machine} code natively")),
        (EngineChoice::Auto | EngineChoice::Unicorn, _) => unicorn(machine, process),
    }
}

/// File name of the Unicorn engine's library.
const UNICORN: &str = "libtransom_unicorn.so";

/// Where the Unicorn engine's library is: beside this program, or in `../lib/transom`; or where it is missing.
pub(crate) fn library() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|e| format!("finding this program: {e}"))?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let places = [folder.join(UNICORN), folder.join("../lib/transom").join(UNICORN)];
    places.into_iter().find(|p| p.exists()).ok_or_else(|| {
        format!(
            "{UNICORN} in {} or ../lib/transom; `cargo build --release -p transom-unicorn` builds it",
            folder.display()
        )
    })
}

/// Loads the Unicorn engine.
fn unicorn(machine: Machine, process: &'static Process) -> Result<Box<dyn Engine>, String> {
    let path = library()
        .map_err(|e| format!("{machine} code needs the Unicorn engine, which is not installed ({e})"))?;
    let failed = |e: libloading::Error| format!("{}: {e}", path.display());
    // SAFETY: the library is Transom's own; its initialisers are those of its Rust and C parts.
    let library = unsafe { libloading::Library::new(&path) }.map_err(failed)?;
    // SAFETY: the symbol is of this type in every build; `create` checks that the build is ours before using it.
    let entry = unsafe { library.get::<external::Entry>(external::ENTRY) }.map(|s| *s).map_err(failed)?;
    // The engine lives as long as the process.
    std::mem::forget(library);
    let (support, support_len) =
        process.engine_support().map_err(|e| format!("no room for the engine: {e:?}"))?;
    let services = external::Services::own();
    let request = external::Request { machine, host: process, support, support_len, services };
    // SAFETY: what the library exports under this name, and it stays loaded.
    let engine = unsafe { external::create(entry, &request) }?;
    #[cfg(target_arch = "x86_64")]
    {
        transom_cpu::signals::guest_is_emulated();
        transom_cpu::signals::install(process).map_err(|e| format!("taking over fault signals: {e}"))?;
    }
    Ok(engine)
}

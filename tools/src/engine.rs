//! Choosing and loading the engine.

use transom_cpu::engine::Engine;
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
        (EngineChoice::Auto | EngineChoice::Unicorn, _) => {
            Err("the Unicorn engine is not installed".to_owned())
        }
    }
}

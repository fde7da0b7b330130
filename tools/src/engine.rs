//! Choosing and loading the engine.

use transom_cpu::engine::{Engine, Host};
use transom_cpu::machine::Machine;

use crate::cli::EngineChoice;

/// The engine for a machine, or why there is none.
pub(crate) fn create(
    choice: EngineChoice,
    machine: Machine,
    host: &'static dyn Host,
) -> Result<Box<dyn Engine>, String> {
    match (choice, machine) {
        #[cfg(target_arch = "x86_64")]
        (EngineChoice::Auto | EngineChoice::Native, Machine::Amd64) => {
            Ok(Box::new(transom_cpu::native64::Native64::new(host)))
        }
        (EngineChoice::Native, _) => Err(format!("this host cannot run {machine} code natively")),
        (EngineChoice::Auto | EngineChoice::Unicorn, _) => Err("the Unicorn engine is not installed".to_owned()),
    }
}

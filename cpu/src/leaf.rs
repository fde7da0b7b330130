//! Leaf stubs: functions whose whole body is a few guest instructions, so that no call leaves the guest.

use crate::machine::Machine;

/// Emits the guest code of a leaf stub for a machine, to be placed at the guest address `at`. `slow` is the address of
/// the function's ordinary thunk, where the stub may jump with the arguments untouched. `None` where the machine has no
/// leaf for it.
pub type LeafFn = fn(machine: Machine, slow: u64, at: u64) -> Option<Vec<u8>>;

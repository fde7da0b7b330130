//! Instructions as text.

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use transom_sdk::Machine;
use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

/// The instruction that `bytes` hold, which lies at `pc`; `(bad)` if they hold none.
pub(super) fn instruction(machine: Machine, pc: u64, bytes: &[u8]) -> String {
    match machine {
        Machine::Arm64 => InstDecoder::default()
            .decode(&mut U8Reader::new(bytes))
            .map_or_else(|_| "(bad)".to_owned(), |instruction| instruction.to_string()),
        Machine::Amd64 => x86(64, pc, bytes),
        Machine::I386 => x86(32, pc, bytes),
    }
}

fn x86(bits: u32, pc: u64, bytes: &[u8]) -> String {
    let mut decoder = Decoder::with_ip(bits, bytes, pc, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    decoder.decode_out(&mut instruction);
    if instruction.is_invalid() {
        return "(bad)".to_owned();
    }
    let mut formatter = NasmFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_space_after_operand_separator(true);
    let mut text = String::new();
    formatter.format(&instruction, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_machines() {
        assert_eq!(instruction(Machine::Amd64, 0x1000, &[0x48, 0x83, 0xEC, 0x28]), "sub rsp, 0x28");
        assert_eq!(instruction(Machine::Amd64, 0x1000, &[0xE8, 0, 0, 0, 0]), "call 0x1005");
        assert_eq!(instruction(Machine::I386, 0x1000, &[0x40]), "inc eax");
        assert_eq!(instruction(Machine::Arm64, 0, &0xD65F_03C0_u32.to_le_bytes()), "ret");
        assert_eq!(instruction(Machine::Arm64, 0, &0x9100_83FF_u32.to_le_bytes()), "add sp, sp, #0x20");
        assert_eq!(instruction(Machine::Amd64, 0, &[0x06]), "(bad)");
    }
}

//! The machine code of relays, and where it leaves what on the stack.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::machine::Machine;

/// Room for one stub in bytes.
pub const STUB_SIZE: usize = 32;
/// Room for the common code in bytes.
pub const COMMON_SIZE: usize = 512;

/// The code that all stubs share.
#[derive(Clone, Debug)]
pub struct Common {
    /// All of it.
    pub code: Vec<u8>,
    /// Offset of what watched calls return to. What stubs jump to is at offset 0.
    pub leave: u64,
}

/// Where things are, in bytes: counted from the stack pointer of the common code, which is `base` above that of its call
/// into the host (where x86 has put a return address).
pub(super) struct Layout {
    pub(super) base: u64,
    /// On the way in: the stub's number.
    pub(super) number: u64,
    /// The stack pointer at the call.
    pub(super) entered: u64,
    /// The return address.
    pub(super) return_address: u64,
    /// On the way out: the integer result.
    pub(super) result: u64,
    /// x86: its high half.
    pub(super) result_high: u64,
    /// The stack pointer at the call; on x86 that after the return.
    pub(super) left: u64,
}

pub(super) fn layout(machine: Machine) -> Layout {
    match machine {
        Machine::Amd64 => Layout {
            base: 8,
            number: 0xA0,
            entered: 0xA8,
            return_address: 0xA8,
            result: 0x20,
            result_high: 0x28,
            left: 0x78,
        },
        Machine::I386 => Layout {
            base: 4,
            number: 0x6C,
            entered: 0x70,
            return_address: 0x70,
            result: 0x44,
            result_high: 0x40,
            left: 0x4C,
        },
        Machine::Arm64 => Layout {
            base: 0,
            number: 0x58,
            entered: 0xE0,
            return_address: 8,
            result: 0,
            result_high: 8,
            left: 0x60,
        },
    }
}

/// The common code. `enter` and `leave` are thunks: the first answers with the address to go on at, the second with the one
/// to return to. The code is to be placed at the guest address `at`.
///
/// # Errors
/// What the assembler refused, in words.
pub fn common(machine: Machine, enter: u64, leave: u64, at: u64) -> Result<Common, String> {
    let made = match machine {
        Machine::Amd64 => amd64(enter, at).and_then(|first| Ok((first, amd64_leave(leave)?))),
        Machine::I386 => i386(enter, at).and_then(|first| Ok((first, i386_leave(leave)?))),
        Machine::Arm64 => Ok((arm64::enter(enter), arm64::leave(leave))),
    };
    let (mut code, second) = made.map_err(|e| e.to_string())?;
    code.resize(code.len().next_multiple_of(16), 0);
    let leave = code.len() as u64;
    code.extend(second);
    Ok(Common { code, leave })
}

/// The code of one stub, for the common code at `common`.
///
/// # Errors
/// As for [`common`].
pub fn stub(machine: Machine, number: u32, common: u64, at: u64) -> Result<Vec<u8>, String> {
    let number_word = number.cast_signed();
    let made = match machine {
        Machine::Amd64 => CodeAssembler::new(64).and_then(|mut a| {
            a.push(number_word)?;
            a.mov(r11, common)?;
            a.jmp(r11)?;
            a.assemble(at)
        }),
        Machine::I386 => CodeAssembler::new(32).and_then(|mut a| {
            a.push(number_word)?;
            a.jmp(common)?;
            a.assemble(at)
        }),
        Machine::Arm64 => Ok(arm64::stub(number, common)),
    };
    made.map_err(|e| e.to_string())
}

const VECTORS: [AsmRegisterXmm; 6] = [xmm0, xmm1, xmm2, xmm3, xmm4, xmm5];

/// Lower 32 bytes for the called thunk, then argument registers.
fn amd64(enter: u64, at: u64) -> Result<Vec<u8>, IcedError> {
    const INTS: [AsmRegister64; 4] = [rcx, rdx, r8, r9];
    let mut a = CodeAssembler::new(64)?;
    a.sub(rsp, 0xA0)?;
    for (place, register) in (0x20..).step_by(8).zip(INTS) {
        a.mov(qword_ptr(rsp + place), register)?;
    }
    for (place, register) in (0x40..).step_by(16).zip(VECTORS) {
        a.movups(xmmword_ptr(rsp + place), register)?;
    }
    a.mov(rax, enter)?;
    a.call(rax)?;
    a.mov(r11, rax)?;
    for (place, register) in (0x20..).step_by(8).zip(INTS) {
        a.mov(register, qword_ptr(rsp + place))?;
    }
    for (place, register) in (0x40..).step_by(16).zip(VECTORS) {
        a.movups(register, xmmword_ptr(rsp + place))?;
    }
    a.add(rsp, 0xA8)?;
    a.jmp(r11)?;
    a.assemble(at)
}

/// The place of the return address, which has been popped, is taken again: it is where the returned address goes.
fn amd64_leave(leave: u64) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    a.sub(rsp, 0x80)?;
    a.mov(qword_ptr(rsp + 0x20), rax)?;
    a.mov(qword_ptr(rsp + 0x28), rdx)?;
    for (place, register) in (0x30..).step_by(16).zip(&VECTORS[..4]) {
        a.movups(xmmword_ptr(rsp + place), *register)?;
    }
    a.mov(rax, leave)?;
    a.call(rax)?;
    a.mov(qword_ptr(rsp + 0x78), rax)?;
    a.mov(rax, qword_ptr(rsp + 0x20))?;
    a.mov(rdx, qword_ptr(rsp + 0x28))?;
    for (place, register) in (0x30..).step_by(16).zip(&VECTORS[..4]) {
        a.movups(*register, xmmword_ptr(rsp + place))?;
    }
    a.add(rsp, 0x78)?;
    a.ret()?;
    a.assemble(0)
}

/// The number's place becomes that of the address to go on at.
fn i386(enter: u64, at: u64) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    a.push(eax)?;
    a.push(ecx)?;
    a.push(edx)?;
    a.sub(esp, 0x60)?;
    for (place, register) in (0..).step_by(16).zip(VECTORS) {
        a.movups(xmmword_ptr(esp + place), register)?;
    }
    a.mov(eax, u32::try_from(enter).unwrap_or(0))?;
    a.call(eax)?;
    a.mov(dword_ptr(esp + 0x6C), eax)?;
    for (place, register) in (0..).step_by(16).zip(VECTORS) {
        a.movups(register, xmmword_ptr(esp + place))?;
    }
    a.add(esp, 0x60)?;
    a.pop(edx)?;
    a.pop(ecx)?;
    a.pop(eax)?;
    a.ret()?;
    a.assemble(at)
}

/// A result on the x87 stack stays there.
fn i386_leave(leave: u64) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    a.push(eax)?;
    a.push(eax)?;
    a.push(edx)?;
    a.sub(esp, 0x40)?;
    for (place, register) in (0..).step_by(16).zip(&VECTORS[..4]) {
        a.movups(xmmword_ptr(esp + place), *register)?;
    }
    a.mov(ecx, u32::try_from(leave).unwrap_or(0))?;
    a.call(ecx)?;
    a.mov(dword_ptr(esp + 0x48), eax)?;
    for (place, register) in (0..).step_by(16).zip(&VECTORS[..4]) {
        a.movups(*register, xmmword_ptr(esp + place))?;
    }
    a.add(esp, 0x40)?;
    a.pop(edx)?;
    a.pop(eax)?;
    a.ret()?;
    a.assemble(0)
}

/// ARM64, which the assembler does not do: the few instructions that relays need, by their encodings in the architecture's manual.
mod arm64 {
    const SP: u32 = 31;
    /// First of the scratch registers that linkers' own veneers use.
    const X16: u32 = 16;
    const X17: u32 = 17;
    const FRAME: u32 = 0xE0;
    const LEAVE_FRAME: u32 = 0x60;

    const NOP: u32 = 0xD503_201F;
    const RET: u32 = 0xD65F_03C0;
    const BR_X17: u32 = 0xD61F_0220;
    const BLR_X17: u32 = 0xD63F_0220;
    /// mov x17, x0; mov x30, x0.
    const MOV_X17_X0: u32 = 0xAA00_03F1;
    const MOV_X30_X0: u32 = 0xAA00_03FE;

    fn sub_sp(n: u32) -> u32 {
        0xD100_0000 | n << 10 | SP << 5 | SP
    }

    fn add_sp(n: u32) -> u32 {
        0x9100_0000 | n << 10 | SP << 5 | SP
    }

    /// stp or ldp of x registers; of q registers.
    fn pair(load: bool, first: u32, second: u32, offset: u32) -> u32 {
        0xA900_0000 | u32::from(load) << 22 | (offset / 8) << 15 | second << 10 | SP << 5 | first
    }

    fn vectors(load: bool, first: u32, offset: u32) -> u32 {
        0xAD00_0000 | u32::from(load) << 22 | (offset / 16) << 15 | (first + 1) << 10 | SP << 5 | first
    }

    /// ldr x17 of a literal `words` further on.
    fn literal(words: u32) -> u32 {
        0x5800_0000 | words << 5 | X17
    }

    /// The registers of a call: x29 and x30, x0 to x8 with x16 (the number), q0 to q7.
    fn registers(load: bool) -> impl Iterator<Item = u32> {
        let ints = (0..4).map(move |i| pair(load, 2 * i, 2 * i + 1, 0x10 + 0x10 * i));
        let floats = (0..4).map(move |i| vectors(load, 2 * i, 0x60 + 0x20 * i));
        [pair(load, 29, 30, 0), pair(load, 8, X16, 0x50)].into_iter().chain(ints).chain(floats)
    }

    /// Registers of a result: x0 and x1, q0 to q3.
    fn results(load: bool) -> [u32; 3] {
        [pair(load, 0, 1, 0), vectors(load, 0, 0x10), vectors(load, 2, 0x30)]
    }

    /// The code with the literal behind it that its one `ldr x17` loads.
    fn finish(mut code: Vec<u32>, address: u64) -> Vec<u8> {
        if code.len() % 2 == 1 {
            code.push(NOP);
        }
        let end = code.len();
        for (at, word) in code.iter_mut().enumerate().filter(|(_, word)| **word == literal(0)) {
            *word = literal(u32::try_from(end - at).unwrap_or(0));
        }
        code.into_iter().flat_map(u32::to_le_bytes).chain(address.to_le_bytes()).collect()
    }

    pub(super) fn enter(thunk: u64) -> Vec<u8> {
        let mut code = vec![sub_sp(FRAME)];
        code.extend(registers(false));
        code.extend([literal(0), BLR_X17, MOV_X17_X0]);
        code.extend(registers(true));
        code.extend([add_sp(FRAME), BR_X17]);
        finish(code, thunk)
    }

    pub(super) fn leave(thunk: u64) -> Vec<u8> {
        let mut code = vec![sub_sp(LEAVE_FRAME)];
        code.extend(results(false));
        code.extend([literal(0), BLR_X17, MOV_X30_X0]);
        code.extend(results(true));
        code.extend([add_sp(LEAVE_FRAME), RET]);
        finish(code, thunk)
    }

    /// ldr w16 of the number behind the code; ldr x17; br x17.
    pub(super) fn stub(number: u32, common: u64) -> Vec<u8> {
        let load_number = 0x1800_0000 | 6 << 5 | X16;
        let code = [load_number, literal(3), BR_X17, NOP];
        let mut bytes: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(common.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_fits_its_room() {
        for machine in [Machine::Amd64, Machine::I386, Machine::Arm64] {
            let common = common(machine, 0x1000, 0x1010, 0x2000).expect("assembles");
            assert!(common.code.len() <= COMMON_SIZE, "{machine:?}: {}", common.code.len());
            assert!(common.leave.is_multiple_of(16));
            let stub = stub(machine, 77, 0x2000, 0x3000).expect("assembles");
            assert!(stub.len() <= STUB_SIZE, "{machine:?}: {}", stub.len());
        }
    }

    /// Encodings compared with what an assembler makes of them.
    #[test]
    fn arm64_instructions() {
        let words = |code: Vec<u8>| -> Vec<u32> {
            code.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
        };
        let enter = words(arm64::enter(0));
        // sub sp, sp, #0xe0; stp x29, x30, [sp]; stp x8, x16, [sp, #0x50]; stp x0, x1, [sp, #0x10]
        assert_eq!(enter[..4], [0xD103_83FF, 0xA900_7BFD, 0xA905_43E8, 0xA901_07E0]);
        // stp q0, q1, [sp, #0x60]
        assert_eq!(enter[7], 0xAD03_07E0);
        assert!(enter.contains(&0xAD43_07E0) && enter.contains(&0x9103_83FF));
    }
}

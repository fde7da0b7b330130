//! Instruction sets of guests.

/// The instruction set that a guest program was built for.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Machine {
    /// 32-bit x86 (`IMAGE_FILE_MACHINE_I386`).
    I386,
    /// x86-64 (`IMAGE_FILE_MACHINE_AMD64`).
    Amd64,
    /// AArch64 (`IMAGE_FILE_MACHINE_ARM64`).
    Arm64,
}

impl Machine {
    /// Size of a guest pointer in bytes: 4 or 8.
    #[must_use]
    pub const fn pointer_size(self) -> usize {
        match self {
            Self::I386 => 4,
            Self::Amd64 | Self::Arm64 => 8,
        }
    }

    /// Whether guest pointers are 64 bits wide.
    #[must_use]
    pub const fn is_64(self) -> bool {
        !matches!(self, Self::I386)
    }

    /// The name used on the command line and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::I386 => "x86",
            Self::Amd64 => "x86-64",
            Self::Arm64 => "ARM64",
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

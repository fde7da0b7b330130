//! The `transom` command under test: where it is, and which engines it has.
//!
//! `TRANSOM` names another command to test instead. If its name begins with `wine`, Wine takes Transom's place: it runs x86-64
//! only and knows no options. This checks the harness and the programs themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The instruction sets of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64.
    X64,
    /// 32-bit x86.
    X86,
    /// ARM64.
    Arm64,
}

impl Isa {
    /// From the name used in folders: `x64`, `x86`, `arm64`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "x64" => Some(Self::X64),
            "x86" => Some(Self::X86),
            "arm64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The engines that run it, best first.
    #[must_use]
    pub fn engines(self) -> &'static [Engine] {
        match self {
            Self::X64 | Self::X86 => &[Engine::Native, Engine::Unicorn],
            Self::Arm64 => &[Engine::Unicorn],
        }
    }
}

/// The engines of Transom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// native-64 or native-32, whichever the guest needs.
    Native,
    /// The Unicorn engine.
    Unicorn,
}

impl Engine {
    /// As `--engine` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Unicorn => "unicorn",
        }
    }
}

/// A command that runs Windows programs.
#[derive(Debug, Clone)]
pub struct Transom {
    program: PathBuf,
    wine: bool,
}

impl Transom {
    /// The command that `TRANSOM` names, else the workspace's release build, else its debug build.
    ///
    /// # Errors
    ///
    /// A message for the user if there is none.
    pub fn find() -> Result<Self, String> {
        let program = match std::env::var_os("TRANSOM") {
            Some(name) => PathBuf::from(name),
            None => built().ok_or(
                "there is no transom command to test: build it (cargo build --release), or name one in TRANSOM",
            )?,
        };
        let wine = program.file_name().is_some_and(|n| n.to_string_lossy().starts_with("wine"));
        Ok(Self { program, wine })
    }

    /// Why a guest of this instruction set cannot run on this engine here, or `None` if it can.
    #[must_use]
    pub fn cannot(&self, isa: Isa, engine: Engine) -> Option<&'static str> {
        if self.wine {
            return (isa != Isa::X64 || engine != Engine::Native).then_some("Wine runs x86-64 only here");
        }
        let beside = self.program.with_file_name("libtransom_unicorn.so");
        (engine == Engine::Unicorn && !beside.exists()).then_some("the Unicorn engine is not built")
    }

    /// The command line up to the guest program.
    #[must_use]
    pub fn command(&self, engine: Engine) -> Command {
        let mut c = Command::new(&self.program);
        if self.wine {
            c.env("WINEDEBUG", "-all");
        } else if engine == Engine::Unicorn {
            c.args(["--engine", "unicorn"]);
        }
        c
    }

    /// The same as one line for a shell script. The paths in it must hold no blanks.
    #[must_use]
    pub fn shell(&self, engine: Engine) -> String {
        let c = self.command(engine);
        let words = std::iter::once(c.get_program()).chain(c.get_args());
        words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

fn built() -> Option<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    ["release", "debug"].iter().map(|p| target.join(p).join("transom")).find(|p| Path::exists(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arm64_runs_on_unicorn_only() {
        assert_eq!(Isa::from_name("arm64").unwrap().engines(), &[Engine::Unicorn]);
        assert_eq!(Isa::from_name("x86").unwrap().engines().len(), 2);
        assert_eq!(Isa::from_name("mips"), None);
    }

    #[test]
    fn the_engine_is_an_option() {
        let t = Transom { program: "/x/transom".into(), wine: false };
        assert_eq!(t.shell(Engine::Unicorn), "/x/transom --engine unicorn");
        assert_eq!(t.shell(Engine::Native), "/x/transom");
    }
}

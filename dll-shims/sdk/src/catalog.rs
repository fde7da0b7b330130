//! The DLLs that a process can have, by all their names: what the crates of shims bring, under the names and in the places where
//! programs ask for it.
//!
//! Windows puts many functions where programs of other years look for them too: a DLL is split and its old name leads to
//! the new one, or a DLL exports a function that lives in another (a forwarder). Both are tables here, not code.

use crate::shim::Dll;

/// Built-in DLLs, a list per crate, each sorted by name.
pub type Dlls = &'static [&'static [Dll]];

/// Other names of built-in DLLs, as (alias, name).
pub type Aliases = &'static [(&'static str, &'static str)];

/// Functions that a DLL exports and another one has.
#[derive(Debug, Clone, Copy)]
pub struct Forwarder {
    /// The DLL that exports them.
    pub from: &'static str,
    /// The DLL that has them, under the same names.
    pub to: &'static str,
    /// Which ones, as far as the other DLL has them.
    pub names: Names,
}

/// Which functions a forwarder is for.
#[derive(Debug, Clone, Copy)]
pub enum Names {
    /// These, sorted (byte order).
    Listed(&'static [&'static str]),
    /// All that begin so.
    Beginning(&'static str),
}

impl Names {
    fn holds(&self, name: &[u8]) -> bool {
        match self {
            Self::Listed(names) => names.binary_search_by(|n| n.as_bytes().cmp(name)).is_ok(),
            Self::Beginning(start) => name.starts_with(start.as_bytes()),
        }
    }
}

/// The DLLs and where else they are found.
#[derive(Debug, Clone, Copy)]
pub struct Catalog {
    /// The DLLs; of two with one name the first counts.
    pub dlls: Dlls,
    /// Other names of them.
    pub aliases: Aliases,
    /// Functions that they export and others have.
    pub forwarders: &'static [Forwarder],
}

impl Catalog {
    /// The name of the DLL that a name (lower case, with extension) stands for: that name unless it is an alias.
    #[must_use]
    pub fn real_name<'a>(&self, name: &'a str) -> &'a str {
        self.aliases.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, real)| real)
    }

    /// The DLL of that name or alias.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Dll> {
        let name = self.real_name(name);
        self.dlls.iter().find_map(|dlls| Some(&dlls[dlls.binary_search_by(|d| d.name.cmp(name)).ok()?]))
    }

    /// The DLL that has a function which another DLL (by its real name) forwards; `None` if it does not forward it.
    #[must_use]
    pub fn forwarder(&self, dll: &str, function: &[u8]) -> Option<&'static str> {
        self.forwarders.iter().find(|f| f.from == dll && f.names.holds(function)).map(|f| f.to)
    }

    /// A function or variable that a DLL (by its name or alias) exports: the DLL that has it, and its position there.
    #[must_use]
    pub fn export(&self, dll: &str, name: &[u8]) -> Option<(&'static Dll, usize)> {
        let own = self.find(dll)?;
        if let Some(at) = own.exports.find(name) {
            return Some((own, at));
        }
        let to = self.find(self.forwarder(own.name, name)?)?;
        Some((to, to.exports.find(name)?))
    }
}

//! The second step: import address tables, the security cookie, final protections, TLS indices.

use std::sync::Arc;

use super::resolve::Source;
use super::{Kind, LoadError, Module, Modules, unpoison};
use crate::map;
use crate::pe::{self, ImageBytesMut, Symbol};
use crate::peb::Words;
use crate::search::Order;

impl Modules {
    /// Binds a mapped image whose dependencies are mapped.
    pub(super) fn bind(&self, module: &Arc<Module>) -> Result<(), LoadError> {
        let Kind::Image(mapped) = &module.kind else { return Ok(()) };
        let bad = |error| LoadError::Pe { file: module.name.clone(), error };
        let mut image = mapped.image();
        let walker = mapped.image();
        for dll in &pe::imports(&walker, &mapped.headers) {
            let dll = dll.map_err(bad)?;
            let name = dll.name.to_text();
            let Some(Source::Loaded(target)) = self.source(&name, Order::default()) else { continue };
            for import in dll.symbols() {
                let import = import.map_err(bad)?;
                let address = self
                    .bound_address_of(&target, &import.symbol)
                    .unwrap_or_else(|| self.upper.missing(&name, &import.symbol, &module.name));
                self.write_word(&mut image, import.slot, address);
            }
        }
        self.set_cookie(module, mapped);
        self.register_tls(module)?;
        map::protect(&self.memory, mapped)?;
        Ok(())
    }

    fn write_word(&self, image: &mut map::GuestImage, rva: u32, value: u64) {
        let size = if self.machine.is_64() { 8 } else { 4 };
        image.write_at(rva, &value.to_le_bytes()[..size]);
    }

    /// Gives the security cookie a random value if it still has the linker's.
    fn set_cookie(&self, module: &Module, mapped: &map::Mapped) {
        const DEFAULT_64: u64 = 0x2B99_2DDF_A232;
        const DEFAULT_32: u64 = 0xBB40_E64E;
        let image = mapped.image();
        let cookie = match pe::load_config(&image, &mapped.headers) {
            Ok(config) => config.and_then(|c| c.security_cookie),
            Err(error) => {
                log::warn!("{}: {error}", module.name);
                None
            }
        };
        let Some(rva) = cookie else { return };
        let w = Words { wide: self.machine.is_64() };
        let at = module.base + u64::from(rva);
        if w.get(at).is_ok_and(|v| v == DEFAULT_32 || v == DEFAULT_64) {
            let mut bytes = [0u8; 8];
            // The top 16 bits of a 64-bit cookie are zero, as Microsoft's are.
            let len = if w.wide { 6 } else { 4 };
            // SAFETY: the buffer is `len` bytes long at least. A short read leaves zeroes, which are still a value.
            unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), len, 0) };
            let mut image = mapped.image();
            self.write_word(&mut image, rva, u64::from_le_bytes(bytes));
        }
    }

    /// Address of an export by name, for callers that have bytes; `None` if there is no such export.
    #[must_use]
    pub fn address_of_name(&self, module: &Module, name: &[u8]) -> Option<u64> {
        if let Kind::Builtin(dll) = &module.kind
            && let Some(at) = dll.by_name(name)
        {
            return Some(at);
        }
        self.bound_address_of(module, &Symbol::Name { hint: 0, name: name.into() })
    }

    pub(super) fn dependencies_of(module: &Module) -> &[Arc<Module>] {
        module.dependencies.get().map_or(&[], Vec::as_slice)
    }

    /// Whether the module is still in the list.
    pub(super) fn is_listed(&self, module: &Arc<Module>) -> bool {
        unpoison(self.list.read()).iter().any(|m| Arc::ptr_eq(m, module))
    }
}

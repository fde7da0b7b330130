//! The third step: TLS callbacks and DllMain, in dependency order, and their counterparts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use windows_sys::Win32::System::SystemServices::{
    DLL_PROCESS_ATTACH, DLL_PROCESS_DETACH, DLL_THREAD_ATTACH, DLL_THREAD_DETACH,
};

use super::{Kind, LoadError, Module, Modules, Stage};
use crate::builtin::GuestCaller;
use crate::pe;

impl Modules {
    /// Initialises all DLLs that the program needs, then runs the program's own TLS callbacks.
    ///
    /// # Errors
    /// [`LoadError::InitFailed`] names the DLL.
    pub fn initialise_program(&self, caller: &dyn GuestCaller) -> Result<(), LoadError> {
        let Some(program) = self.program() else { return Ok(()) };
        let _lock = self.lock.enter();
        self.initialise(&program, caller)
    }

    /// Initialises what a module needs, then the module. `reserved` of DllMain is non-NULL for static loads.
    pub(super) fn initialise(&self, module: &Arc<Module>, caller: &dyn GuestCaller) -> Result<(), LoadError> {
        if module.stage() != Stage::Mapped {
            return Ok(());
        }
        module.set_stage(Stage::Initialising);
        for dependency in Self::dependencies_of(module) {
            self.initialise(dependency, caller)?;
        }
        self.tls_callbacks(module, DLL_PROCESS_ATTACH, caller);
        if module.is_dll() && module.entry_point() != 0 {
            let attached = self.dll_main(module, DLL_PROCESS_ATTACH, caller);
            if !attached {
                self.dll_main(module, DLL_PROCESS_DETACH, caller);
                module.set_stage(Stage::Failed);
                return Err(LoadError::InitFailed(module.name.clone()));
            }
        }
        module.set_stage(Stage::Ready);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "a BOOL is 32 bits wide")]
    fn dll_main(&self, module: &Module, reason: u32, caller: &dyn GuestCaller) -> bool {
        let reserved = u64::from(module.references.load(Ordering::Relaxed) < 0);
        caller.call_guest(module.entry_point(), &[module.base, reason.into(), reserved]) as u32 != 0
    }

    fn tls_callbacks(&self, module: &Module, reason: u32, caller: &dyn GuestCaller) {
        let Kind::Image(mapped) = &module.kind else { return };
        let image = mapped.image();
        let Ok(Some(tls)) = pe::tls(&image, &mapped.headers) else { return };
        for callback in tls.callbacks(&image) {
            match callback {
                Ok(rva) => {
                    caller.call_guest(module.base + u64::from(rva), &[module.base, reason.into(), 0]);
                }
                Err(error) => log::warn!("{}: {error}", module.name),
            }
        }
    }

    pub(super) fn uninitialise(&self, module: &Arc<Module>, caller: &dyn GuestCaller) {
        if module.stage() != Stage::Ready || !self.is_listed(module) {
            return;
        }
        if module.is_dll() && module.entry_point() != 0 {
            self.dll_main(module, DLL_PROCESS_DETACH, caller);
        }
        self.tls_callbacks(module, DLL_PROCESS_DETACH, caller);
    }

    /// Tells all DLLs that the process ends, the last initialised first.
    pub fn process_detach(&self, caller: &dyn GuestCaller) {
        let _lock = self.lock.enter();
        for module in self.all().iter().rev() {
            self.uninitialise(module, caller);
        }
    }

    /// Tells all modules that the calling thread starts.
    pub fn thread_attach(&self, caller: &dyn GuestCaller) {
        self.notify_thread(DLL_THREAD_ATTACH, caller);
    }

    /// Tells all modules that the calling thread ends.
    pub fn thread_detach(&self, caller: &dyn GuestCaller) {
        self.notify_thread(DLL_THREAD_DETACH, caller);
    }

    fn notify_thread(&self, reason: u32, caller: &dyn GuestCaller) {
        let listed = self.all();
        let concerned = |m: &&Arc<Module>| {
            matches!(m.kind, Kind::Image(_))
                && m.stage() == Stage::Ready
                && !m.no_thread_calls.load(Ordering::Relaxed)
        };
        if !listed.iter().any(|m| concerned(&m)) {
            return;
        }
        let _lock = self.lock.enter();
        let mut modules: Vec<_> = listed.iter().filter(concerned).collect();
        if reason == DLL_THREAD_DETACH {
            modules.reverse();
        }
        for module in modules {
            self.tls_callbacks(module, reason, caller);
            if module.is_dll() && module.entry_point() != 0 {
                self.dll_main(module, reason, caller);
            }
        }
    }
}

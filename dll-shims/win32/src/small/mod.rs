//! DLLs of which a few functions are here, so that programs load that import them: what they call beyond these fails when it
//! is called, and these answer as documented for a system without the feature.

pub(crate) mod dbghelp;
pub(crate) mod dbghelp_modules;
pub(crate) mod devices;
pub(crate) mod iphlpapi;
pub(crate) mod pdh;

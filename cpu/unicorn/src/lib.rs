//! The Unicorn engine (ARM64 guests; x86 and x86-64 on request).

//! `securitybaseapi.h`, `sddl.h`, `aclapi.h`, `winbase.h`: security identifiers, tokens, access control lists, security
//! descriptors. What a process may do is Linux's decision; here programs get answers.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod acl;
pub(crate) mod descriptor;
pub(crate) mod object;
pub(crate) mod sddl;
pub(crate) mod sid;
pub(crate) mod token;

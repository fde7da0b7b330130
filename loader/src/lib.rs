//! The PE loader.

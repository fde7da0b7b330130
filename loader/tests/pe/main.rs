//! Tests of the PE parser on files that a builder makes, honest ones and hostile ones.

mod builder;
mod differential;
mod directories;
mod headers;
mod hostile;
mod resources;
mod seeds;

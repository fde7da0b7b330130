//! user32.dll: what console programs use of it. Windows on screen are out of scope: a program that makes one gets a clear
//! error at that call.

pub(crate) mod text;

//! Makes the export tables of this crate's DLLs from its `#[shim]` and `#[data]` attributes.

fn main() -> Result<(), String> {
    transom_scan::write_tables()
}

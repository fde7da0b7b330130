//! Makes the export table from the `#[shim]` attributes.

fn main() -> Result<(), String> {
    transom_scan::write_tables()
}

//! Directories for tests, unlike for each call, under the system's temporary directory. The test removes its
//! own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Creates an empty directory.
pub(crate) fn dir(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("transom-{}-{number}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a scratch directory");
    path
}

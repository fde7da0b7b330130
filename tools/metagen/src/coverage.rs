//! How many functions of a list have a signature.

use std::collections::BTreeMap;
use std::path::Path;

use transom_sigs::Table;

/// Prints a line per DLL, those with the most functions first.
pub(crate) fn report(table: &Table, list: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(list).map_err(|e| format!("{}: {e}", list.display()))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        header.iter().position(|h| *h == name).ok_or_else(|| format!("{}: no column {name}", list.display()))
    };
    let (dll_at, function_at) = (column("dll")?, column("function")?);
    let mut dlls: BTreeMap<&str, (u32, u32, Vec<&str>)> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let (Some(dll), Some(function)) = (fields.get(dll_at), fields.get(function_at)) else { continue };
        let entry = dlls.entry(dll).or_default();
        entry.0 += 1;
        if table.find(dll, function).is_some() {
            entry.1 += 1;
        } else {
            entry.2.push(function);
        }
    }
    let mut dlls: Vec<_> = dlls.into_iter().collect();
    dlls.sort_by_key(|(_, (all, ..))| std::cmp::Reverse(*all));
    for (dll, (all, known, missing)) in dlls {
        let percent = f64::from(known) * 100.0 / f64::from(all);
        println!("{dll:32} {known:5} of {all:5}  {percent:5.1} %  {}", missing.join(" "));
    }
    Ok(())
}

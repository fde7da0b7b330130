//! From information classes to what they stand for: `FileBasicInfo` asks for a `FILE_BASIC_INFO`, `TokenElevation` for a
//! `TOKEN_ELEVATION`. No metadata says so, the names do.

/// Whether an enumeration lists information classes.
#[must_use]
pub fn is_class(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("class") || name.contains("info_level")
}

/// Names that the structure behind a member of an information class may have, the likeliest first.
#[must_use]
pub fn structures(member: &str) -> Vec<String> {
    match member {
        "GetFileExInfoStandard" => return vec!["WIN32_FILE_ATTRIBUTE_DATA".to_owned()],
        "FindExInfoBasic" | "FindExInfoStandard" => return vec!["WIN32_FIND_DATAW".to_owned()],
        _ => {}
    }
    let mut name = String::with_capacity(member.len() + 8);
    let mut before = '_';
    for c in member.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
        before = c;
    }
    let all = [
        name.replace("JOB_OBJECT", "JOBOBJECT"),
        name.replace("_RESTART", "").replace("_DIRECTORY", "_DIR"),
        format!("{name}RMATION"),
        name,
    ];
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lead_to_structures() {
        let leads = |member, name: &str| structures(member).iter().any(|n| n == name);
        assert!(leads("FileBasicInfo", "FILE_BASIC_INFO"));
        assert!(leads("FileFullDirectoryRestartInfo", "FILE_FULL_DIR_INFO"));
        assert!(leads("TokenElevation", "TOKEN_ELEVATION"));
        assert!(leads("JobObjectExtendedLimitInformation", "JOBOBJECT_EXTENDED_LIMIT_INFORMATION"));
        assert!(
            is_class("FILE_INFO_BY_HANDLE_CLASS") && is_class("GET_FILEEX_INFO_LEVELS") && !is_class("BOOL")
        );
    }
}

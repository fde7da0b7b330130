//! Wildcards on the command line (`setargv.obj`, `__getmainargs` with expansion, `_configure_narrow_argv` with mode 2).
//!
//! An argument with `*` or `?` outside quotation marks becomes the sorted names that match in its directory, or stays as it is
//! when none does. Listing directories is the caller's: see [`Lister`].

use crate::unit::Unit;

/// Lists the names in the directory part of a pattern that match it.
pub trait Lister<U> {
    /// Names (without their directory) that match the pattern, `.` and `..` left out.
    fn list(&mut self, pattern: &[U]) -> Vec<Vec<U>>;
}

/// Expands one argument.
pub fn expand<U: Unit>(argument: &[U], lister: &mut impl Lister<U>) -> Vec<Vec<U>> {
    if !argument.iter().any(|u| matches!(u.ascii(), b'*' | b'?')) {
        return vec![argument.to_vec()];
    }
    let directory =
        argument.iter().rposition(|u| matches!(u.ascii(), b'\\' | b'/' | b':')).map_or(0, |i| i + 1);
    let mut names = lister.list(argument);
    if names.is_empty() {
        return vec![argument.to_vec()];
    }
    names.sort_by_key(|n| n.iter().map(|u| fold(*u)).collect::<Vec<_>>());
    names.iter().map(|n| [&argument[..directory], n].concat()).collect()
}

fn fold<U: Unit>(unit: U) -> u32 {
    let code = unit.code();
    u8::try_from(code).map_or(code, |b| b.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<&'static str>);

    impl Lister<u8> for Fixed {
        fn list(&mut self, _pattern: &[u8]) -> Vec<Vec<u8>> {
            self.0.iter().map(|s| s.as_bytes().to_vec()).collect()
        }
    }

    #[test]
    fn expansion_keeps_the_directory_and_sorts_without_case() {
        assert_eq!(
            expand(b"d\\*.c".as_slice(), &mut Fixed(vec!["b.c", "A.c"])),
            [b"d\\A.c".to_vec(), b"d\\b.c".to_vec()]
        );
        assert_eq!(expand(b"*.c".as_slice(), &mut Fixed(vec![])), [b"*.c".to_vec()]);
        assert_eq!(expand(b"plain".as_slice(), &mut Fixed(vec!["x"])), [b"plain".to_vec()]);
    }
}

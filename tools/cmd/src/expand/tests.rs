//! Tests of expansion.

use std::sync::Arc;

use super::Percent;
use crate::batch::{Frame, Script};
use crate::shell::tests::Fixture;

#[test]
fn percent_signs_in_batch_files() {
    let mut f = Fixture::new("percent-batch");
    let script = Script::new("X:\\dir\\run.bat".to_owned(), b"");
    f.shell.frames.push(Frame::new(Arc::new(script), "run", "one \"two x\" a=b"));
    f.shell.env.set("name", "Hello World");
    f.shell.env.set("odd:", "colon");
    for (text, expected) in [
        ("%name%|%NAME%|%none%|", "Hello World|Hello World||"),
        ("100%%", "100%"),
        ("%1,%2,%~2,%3%4,%5.", "one,\"two x\",two x,ab,."),
        ("%*", "one \"two x\" a=b"),
        ("%0 %~f0 %~dp0 %~n0 %~nx0", "run X:\\dir\\run.bat X:\\dir\\ run run.bat"),
        ("%name:~0,5%", "Hello"),
        ("%name:o=0%", "Hell0 W0rld"),
        ("%name:*o =%", "World"),
        ("%odd:%", "colon"),
        ("%none:~1,2%", "~1,2"),
        ("50% done", "50 done"),
        ("a%", "a"),
        ("%~dpnx1", "X:\\one"),
    ] {
        assert_eq!(f.shell.expand_percent(text, Percent::Batch), expected, "{text}");
    }
}

#[test]
fn percent_signs_on_command_lines() {
    let mut f = Fixture::new("percent-line");
    f.shell.env.set("a", "b");
    f.shell.level = 7;
    for (text, expected) in [
        ("%a% %none% %%a%% %1 %*", "b %none% %b% %1 %*"),
        ("%none:~1%", "%none:~1%"),
        ("%errorlevel% %CD% %cmdextversion%", "7 X:\\ 2"),
    ] {
        assert_eq!(f.shell.expand_percent(text, Percent::Line), expected, "{text}");
    }
}

#[test]
fn variables_of_for() {
    let mut f = Fixture::new("loops");
    f.shell.loops = vec![('a', "\"X:\\d\\f.txt\"".to_owned()), ('n', "2".to_owned())];
    for (text, expected) in [
        ("%a %n %b %", "\"X:\\d\\f.txt\" 2 %b %"),
        ("%~a %~na %~nxa %~dpa", "X:\\d\\f.txt f f.txt X:\\d\\"),
        ("%~xn", ""),
    ] {
        assert_eq!(f.shell.expand_loops(text), expected, "{text}");
    }
}

#[test]
fn delayed_variables() {
    let mut f = Fixture::new("delayed");
    f.shell.env.set("a", "x&y");
    assert_eq!(f.shell.expand_late("!a! ^^"), "!a! ^^");
    f.shell.modes.delayed = true;
    assert_eq!(f.shell.expand_late("!a! !none! !a:&=-!"), "x&y  x-y");
    assert_eq!(f.shell.expand_late("^!a^! hi!"), "!a! hi");
    assert_eq!(f.shell.expand_late("no ^ mark"), "no ^ mark");
}

//! Tests of commands that need no program, on a drive of their own.

use crate::shell::tests::Fixture;

/// Runs lines one after the other; what they wrote.
fn run(name: &str, lines: &[&str]) -> String {
    let mut f = Fixture::new(name);
    lines.iter().map(|line| f.run(line).0).collect()
}

/// Writes a batch file and runs it; what it wrote, and ERRORLEVEL.
fn batch(name: &str, text: &str) -> (String, i32) {
    let mut f = Fixture::new(name);
    f.write("test.bat", text);
    f.run("test.bat one \"two words\" three")
}

#[test]
fn echo_and_its_separators() {
    assert_eq!(
        run("echo", &["echo  a  b ", "echo.", "echo(x", "echo.off", "echo"]),
        " a  b \n\nx\noff\nECHO is on.\n"
    );
    assert_eq!(run("echo-off", &["echo off", "echo"]), "ECHO is off.\n");
}

#[test]
fn operators_look_at_results() {
    assert_eq!(
        run("ops", &["ver>nul && (echo yes) || echo no", "cd nowhere 2>nul && (echo yes) || echo no"]),
        "yes\nno\n"
    );
    assert_eq!(run("ops2", &["echo a& echo b", "(echo c & echo d) | find \"d\""]), "a\nb\nd\n");
}

#[test]
fn arithmetic() {
    for (expression, value) in [
        ("1+2*3", "7"),
        ("(1+2)*3", "9"),
        ("-7/2", "-3"),
        ("-7%3", "-1"),
        ("0x10+010", "24"),
        ("1<<4|3", "19"),
        ("\"6&3^1\"", "3"),
        ("~0", "-1"),
        ("!5", "0"),
        ("2147483647+1", "-2147483648"),
        ("a=5,b=a*2,a+b", "15"),
        ("c+=3", "3"),
        ("1 - -1", "2"),
    ] {
        // On a command line these need no carets, as nothing else reads the line.
        let quoted = format!("set /a \"{}\"", expression.replace('"', ""));
        assert_eq!(run("arith", &[&quoted]), value, "{expression}");
    }
    for (expression, level) in
        [("1/0", 1_073_750_993), ("(1", 1_073_750_988), ("1+", 1_073_750_989), ("09", 1_073_750_991)]
    {
        assert_eq!(Fixture::new("arith-bad").run(&format!("set /a {expression}")).1, level, "{expression}");
    }
}

#[test]
fn variables_are_set_and_shown() {
    let lines = ["set a=b c", "set \"q=x & y\" junk", "echo %a%.%q:&=^&%.", "set a", "set a=", "set a"];
    assert_eq!(run("set", &lines), "b c.x & y.\na=b c\nEnvironment variable a not defined\n");
}

#[test]
fn conditions_hold_or_not() {
    for (condition, holds) in [
        ("a==a", true),
        ("A==a", false),
        ("/i A==a", true),
        ("not a==b", true),
        ("10 gtr 9", true),
        ("a lss b", true),
        ("0x10 equ 16", true),
        ("exist output", true),
        ("exist *.none", false),
        ("defined none", false),
        ("errorlevel 0", true),
        ("errorlevel 1", false),
        ("exist x:\\", true),
    ] {
        assert_eq!(
            run("if", &[&format!("if {condition} (echo y) else echo n")]),
            if holds { "y\n" } else { "n\n" },
            "{condition}"
        );
    }
}

#[test]
fn loops_go_through_their_sets() {
    let lines = [
        "for %a in (1 \"2 3\" x,y) do @echo %a",
        "for /l %i in (3,-1,1) do @echo %i",
        "for /f \"tokens=1,2* delims=,\" %a in (\"a,b,c,d\") do @echo %c %b %a",
        "for /f %a in ('echo sub^& echo two') do @echo [%a]",
        "md d\\e & echo.>d\\f.txt & echo.>d\\e\\g.txt",
        "for /r d %a in (*.txt) do @echo %a",
        "for /d %a in (*) do @echo %a",
        "for %a in (d\\*.*) do @echo %~nxa",
    ];
    let expected =
        "1\n\"2 3\"\nx\ny\n3\n2\n1\nc,d b a\n[sub]\n[two]\nX:\\d\\f.txt\nX:\\d\\e\\g.txt\nd\nf.txt\n";
    assert_eq!(run("for", &lines), expected);
}

#[test]
fn batch_files_call_and_jump() {
    let text = "@echo off\r\nsetlocal\r\nset x=1\r\ncall :sub a \"b c\"\r\necho back %errorlevel% %x%\r\ngoto end\r\necho never\r\n\
        :sub\r\necho %0 %1 %~2 %*\r\nshift\r\necho %1\r\nset x=2\r\nexit /b 7\r\n:end\r\necho %~n0 %2 %~2\r\ngoto :eof\r\necho no\r\n";
    let (said, level) = batch("batch", text);
    assert_eq!(said, ":sub a b c a \"b c\"\n\"b c\"\nback 7 2\ntest \"two words\" two words\n");
    assert_eq!(level, 7);
}

#[test]
fn setlocal_ends_with_its_file() {
    let mut f = Fixture::new("setlocal");
    f.write("a.bat", "@setlocal enabledelayedexpansion\n@set v=in\n@cd ..\n@md sub 2>nul\n@cd sub\n@if 1==1 (set v=two& echo !v!)\n");
    assert_eq!(f.run("set v=out& a.bat").0, "two\n");
    assert_eq!(f.run("echo %v% %cd%").0, "out X:\\\n");
}

#[test]
fn batch_files_without_call_do_not_return() {
    let mut f = Fixture::new("chain");
    f.write("a.bat", "@echo a\n@b.bat\n@echo never\n");
    f.write("b.bat", "@echo b\n@exit /b 3\n");
    assert_eq!(f.run("a"), ("a\nb\n".to_owned(), 3));
}

#[test]
fn npm_launchers_find_their_folder() {
    let text = "@ECHO off\r\nGOTO start\r\n:find_dp0\r\nSET dp0=%~dp0\r\nEXIT /b\r\n:start\r\nSETLOCAL\r\nCALL :find_dp0\r\n\r\n\
        IF EXIST \"%dp0%\\node.exe\" (\r\n  SET \"_prog=%dp0%\\node.exe\"\r\n) ELSE (\r\n  SET \"_prog=node\"\r\n  SET PATHEXT=%PATHEXT:;.JS;=;%\r\n)\r\n\r\n\
        endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & echo \"%_prog%\" \"%dp0%\\x.js\" %*\r\n";
    let (said, _) = batch("npm", text);
    assert_eq!(said, "\"node\" \"X:\\\\x.js\" one \"two words\" three\n");
}

#[test]
fn commands_are_echoed_in_batch_files() {
    let (said, _) = batch("echoed", "echo a\n@echo b\nfor %%a in (1) do echo %%a\n");
    assert_eq!(said, "\nX:\\>echo a \na\nb\n\nX:\\>for %a in (1) do echo %a \n\nX:\\>echo 1 \n1\n");
}

#[test]
fn files_come_and_go() {
    let lines = [
        "md a\\b& echo one>a\\1.txt& echo two>a\\2.txt",
        "copy a\\1.txt+a\\2.txt a\\3.txt >nul",
        "type a\\3.txt",
        "copy /y a\\*.txt a\\b",
        "ren a\\b\\1.txt *.bak",
        "move a\\b\\2.txt . ",
        "del /q a\\b\\3.txt& dir /b a\\b",
        "rd a\\b& rd /s /q a& if not exist a echo gone",
    ];
    let expected = "one\ntwo\na\\1.txt\na\\2.txt\na\\3.txt\n        3 file(s) copied.\n        1 file(s) moved.\n1.bak\nThe directory is not empty.\ngone\n";
    assert_eq!(run("files", &lines), expected);
}

#[test]
fn folders_are_pushed_and_popped() {
    let lines =
        ["md p\\q", "pushd p\\q& cd & popd & cd", "cd p/q& cd..& cd", "popd", "d q 2>nul& echo %errorlevel%"];
    assert_eq!(run("pushd", &lines), "X:\\p\\q\nX:\\\nX:\\p\n0\n");
}

#[test]
fn what_is_unknown_is_said() {
    let mut f = Fixture::new("unknown");
    let said =
        "'no-such' is not recognized as an internal or external command,\noperable program or batch file.\n";
    assert_eq!(f.run("no-such a b"), (said.to_owned(), 1));
    f.write("u.bat", "@no-such 2>nul\n");
    assert_eq!(f.run("u"), (String::new(), 9009));
    assert_eq!(f.run("echo a >no\\where\\x").0, "The system cannot find the path specified.\n");
}

#[test]
fn redirections_apply_from_left_to_right() {
    let lines = [
        "(echo out& echo err>&2) >x 2>&1& type x",
        "echo more>>x& find /c /v \"\" x",
        "<x set /p v=& call echo %^v%",
        "type nul>y& for %a in (y) do @echo %~za",
    ];
    assert_eq!(run("redirect", &lines), "out\nerr\n\n---------- X: 3\nout\n0\n");
}

#[test]
fn lines_are_found() {
    let lines = [
        "(echo Alpha& echo beta 12& echo gamma)>f",
        "findstr /n /r \"^b.*[0-9]$\" f",
        "findstr /i \"ALPHA gamma\" f",
        "findstr /v /c:\"beta 12\" f",
        "findstr zzz f || echo none",
        "type f | findstr /b al",
        "type f | find /i \"AL\"",
    ];
    assert_eq!(run("findstr", &lines), "2:beta 12\nAlpha\ngamma\nAlpha\ngamma\nnone\nAlpha\n");
}

#[test]
fn trees_are_mirrored() {
    let mut f = Fixture::new("robocopy");
    f.run("md s\\t& echo 1>s\\1& echo 2>s\\t\\2& echo x>s\\x.tmp");
    assert_eq!(f.run("robocopy s d /e /xf *.tmp /njs").0, "\tX:\\s\\1\n\tX:\\s\\t\\2\n");
    assert_eq!(f.shell.level, 1);
    assert_eq!(f.run("echo >d\\old& robocopy s d /mir /njs /nfl /xf *.tmp"), (String::new(), 2));
    assert_eq!(f.run("dir /s /b d").0, "X:\\d\\1\nX:\\d\\t\nX:\\d\\t\\2\n");
    assert_eq!(f.run("robocopy nowhere d 2>nul").1, 16);
}

#[test]
fn lines_are_sorted() {
    let lines = ["(echo b& echo C& echo a& echo a)>f", "sort f", "type f | sort /r /unique", "more +2 f"];
    assert_eq!(run("sort", &lines), "a\na\nb\nC\nC\nb\na\na\na\n");
}

#[test]
fn trees_are_copied() {
    let lines = [
        "md s\\t\\u& echo.>s\\1& echo.>s\\t\\2",
        "xcopy /e /i /q s d",
        "if exist d\\t\\2 if exist d\\t\\u echo all",
        "dir /s /b d",
    ];
    let expected = "2 File(s) copied\nall\nX:\\d\\1\nX:\\d\\t\nX:\\d\\t\\2\nX:\\d\\t\\u\n";
    assert_eq!(run("xcopy", &lines), expected);
}

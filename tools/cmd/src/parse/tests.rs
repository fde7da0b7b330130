//! Tests of the parser.

use proptest::prelude::*;

use super::*;

/// Lines of a text.
struct Text(std::vec::IntoIter<String>);

impl Source for Text {
    fn next_line(&mut self) -> Option<String> {
        self.0.next()
    }
}

fn parsed(text: &str) -> Result<Node, Syntax> {
    let mut lines = text.split('\n').map(str::to_owned).collect::<Vec<_>>().into_iter();
    let first = lines.next().unwrap_or_default();
    parse(&first, &mut Text(lines))
}

/// The tree, told as it would be echoed.
fn shown(text: &str) -> String {
    parsed(text).map_or_else(|e| e.0, |node| node.to_string())
}

#[test]
fn operators_bind_as_documented() {
    assert_eq!(shown("a&b"), "a  & b");
    let Ok(Node::Or(_, right)) = parsed("a || b && c | d") else { panic!() };
    assert!(matches!(*right, Node::And(_, c) if matches!(*c, Node::Pipe(_, _))));
    let Ok(Node::Sequence(left, _)) = parsed("a || b & c") else { panic!() };
    assert!(matches!(*left, Node::Or(_, _)));
    assert_eq!(shown("a &"), "a ");
    assert_eq!(shown("& a"), "& was unexpected at this time.");
    assert_eq!(shown("a && || b"), "|| was unexpected at this time.");
}

#[test]
fn quotation_marks_and_carets_hide_operators() {
    assert_eq!(parsed("echo \"a & b\" ^& c^^d"), Ok(Node::Simple("echo \"a & b\" & c^d".to_owned())));
    assert_eq!(parsed("echo \"a^\" ^\"b"), Ok(Node::Simple("echo \"a^\" \"b".to_owned())));
    assert_eq!(parsed("echo a^\n  b"), Ok(Node::Simple("echo a  b".to_owned())));
    assert_eq!(parsed("echo a^\n&b"), Ok(Node::Simple("echo a&b".to_owned())));
}

#[test]
fn redirections_are_taken_out() {
    assert_eq!(shown("echo a>x"), "echo a 1>x");
    assert_eq!(shown("echo a 2>&1 >>\"x y\" b"), "echo a   b 2>&1 1>>\"x y\"");
    assert_eq!(shown("echo a2>x"), "echo a2 1>x");
    assert_eq!(shown("2>nul <in prog"), "prog 2>nul 0<in");
    assert_eq!(shown("(a) >x 2>&1"), "(a ) 1>x 2>&1");
    assert_eq!(shown("echo a >"), "The syntax of the command is incorrect.");
}

#[test]
fn blocks_span_lines() {
    let Ok(Node::Block(nodes)) = parsed("(\n  a\n\n  :: no\n b & c\n)") else { panic!() };
    assert_eq!(nodes.len(), 2);
    assert_eq!(shown("(echo a"), "The syntax of the command is incorrect.");
    assert_eq!(shown("(a) b"), "b was unexpected at this time.");
    assert_eq!(parsed(") ignored"), Ok(Node::Nothing));
    assert_eq!(parsed("echo )"), Ok(Node::Simple("echo )".to_owned())));
    assert_eq!(parsed(":label & not"), Ok(Node::Nothing));
}

#[test]
fn conditions() {
    assert_eq!(shown("if /i not a==\"b c\" (x) else y & z"), "if /I not a == \"b c\" (x )  else y   & z");
    assert_eq!(
        shown("IF EXIST \"%~dp0\\node.exe\" (a\n) ELSE (\nb)"),
        "if exist \"%~dp0\\node.exe\" (a )  else (b )"
    );
    assert_eq!(shown("if errorlevel 1 exit /b"), "if errorlevel 1 exit /b");
    assert_eq!(shown("if 1 lss 2 a"), "if 1 LSS 2 a");
    assert_eq!(shown("if a foo b c"), "foo was unexpected at this time.");
    assert_eq!(shown("if a==b"), "The syntax of the command is incorrect.");
    assert_eq!(shown("if ==b c"), "c was unexpected at this time.");
    let Ok(Node::If(node)) = parsed("if defined x a & b") else { panic!() };
    assert!(matches!(node.then, Node::Sequence(_, _)));
}

#[test]
fn loops() {
    assert_eq!(shown("for %a in (1 2 \"3)\") do @echo %a"), "for %a in (1 2 \"3)\") do @echo %a");
    assert_eq!(
        shown("for /f \"tokens=1* delims==\" %i in ('set') do x"),
        "for /F \"tokens=1* delims==\" %i in ('set') do x"
    );
    assert_eq!(shown("for /r . %i in (*) do x"), "for /R . %i in (*) do x");
    assert_eq!(shown("for /d /r %i in (*) do x"), "for /D /R %i in (*) do x");
    assert_eq!(shown("for /l %i in (1,1,3) do (\na\nb\n)"), "for /L %i in (1,1,3) do (\r\na \r\nb \r\n)");
    assert_eq!(shown("for %a (x) do y"), "( was unexpected at this time.");
    assert_eq!(shown("for %ab in (x) do y"), "%ab was unexpected at this time.");
}

#[test]
fn comments_hide_what_follows() {
    assert_eq!(shown("rem a & b > c"), "rem");
    assert_eq!(shown("rem & b"), "rem  & b");
}

#[test]
fn nesting_has_an_end() {
    assert!(parsed(&"(".repeat(100_000)).is_err());
    assert!(parsed(&"@".repeat(100_000)).is_err());
    assert!(parsed(&"if a==a ".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "([()&|<>^\"%!@:=,; \n/0-9a-c]|if|for|in|do|rem|else|not){0,60}") {
        if let Ok(node) = parsed(&text) {
            let _ = node.to_string();
        }
    }
}

//! `set /a`: whole numbers of 32 bits, which wrap, with C's operators.

use crate::exec::{Flow, OK, integer};
use crate::shell::Shell;

/// Why an expression has no value: message and ERRORLEVEL.
type Failure = (&'static str, i32);

const UNBALANCED: Failure = ("Unbalanced parenthesis.", 1_073_750_988);
const NO_OPERAND: Failure = ("Missing operand.", 1_073_750_989);
const NO_OPERATOR: Failure = ("Missing operator.", 1_073_750_990);
const BAD_NUMBER: Failure = (
    "Invalid number.  Numeric constants are either decimal (17),\r\nhexadecimal (0x11), or octal (021).",
    1_073_750_991,
);
const LARGE_NUMBER: Failure =
    ("Invalid number.  Numbers are limited to 32-bits of precision.", 1_073_750_992);
const DIVIDED: Failure = ("Divide by zero error.", 1_073_750_993);

/// How deep parentheses and unary operators may nest.
const DEEPEST: usize = 200;

/// Binary operators, those that bind least first; longer ones before those that they begin with.
const LEVELS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];

/// Operators that assign.
const ASSIGNMENTS: [&str; 11] = ["<<=", ">>=", "*=", "/=", "%=", "+=", "-=", "&=", "^=", "|=", "="];

/// An expression being evaluated.
struct Evaluation<'a> {
    shell: &'a mut Shell,
    rest: &'a str,
    depth: usize,
}

/// `set /a expression`. On a command line the value is shown.
pub(super) fn set(shell: &mut Shell, text: &str) -> Flow {
    let text = text.replace('"', "");
    let mut evaluation = Evaluation { shell, rest: &text, depth: 0 };
    match evaluation.all() {
        Ok(value) => {
            if shell.frames.is_empty() {
                shell.out(&value.to_string());
            }
            OK
        }
        Err((message, level)) => {
            shell.complain(message);
            shell.done(level)
        }
    }
}

fn is_name(c: char) -> bool {
    !c.is_ascii_whitespace() && !"=*/%+-&^|<>!~(),".contains(c)
}

impl Evaluation<'_> {
    fn all(&mut self) -> Result<i32, Failure> {
        self.skip();
        if self.rest.is_empty() {
            return Err(NO_OPERAND);
        }
        let value = self.list()?;
        match self.rest.chars().next() {
            None => Ok(value),
            Some(')') => Err(UNBALANCED),
            Some(_) => Err(NO_OPERATOR),
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, symbol: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `a, b`: the last one's value.
    fn list(&mut self) -> Result<i32, Failure> {
        let mut value = self.assignment()?;
        while self.eat(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    /// `name = value`, `name += value`
    fn assignment(&mut self) -> Result<i32, Failure> {
        self.skip();
        let before = self.rest;
        let end = before.find(|c| !is_name(c)).unwrap_or(before.len());
        let name = &before[..end];
        if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
            let after = before[end..].trim_start();
            if let Some(operator) = ASSIGNMENTS.into_iter().find(|o| after.starts_with(o)) {
                self.rest = &after[operator.len()..];
                let right = self.nested(Self::assignment)?;
                let value = match operator.strip_suffix('=') {
                    Some("") | None => right,
                    Some(operator) => apply(operator, self.value_of(name)?, right)?,
                };
                self.shell.env.set(name, &value.to_string());
                return Ok(value);
            }
        }
        self.binary(0)
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<i32, Failure>) -> Result<i32, Failure> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(UNBALANCED);
        }
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn binary(&mut self, level: usize) -> Result<i32, Failure> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            self.skip();
            let Some(operator) = operators.iter().find(|o| self.rest.starts_with(**o)) else {
                return Ok(left);
            };
            self.rest = &self.rest[operator.len()..];
            left = apply(operator, left, self.binary(level + 1)?)?;
        }
    }

    fn unary(&mut self) -> Result<i32, Failure> {
        if self.eat("-") {
            return Ok(self.nested(Self::unary)?.wrapping_neg());
        }
        if self.eat("+") {
            return self.nested(Self::unary);
        }
        if self.eat("~") {
            return Ok(!self.nested(Self::unary)?);
        }
        if self.eat("!") {
            return Ok((self.nested(Self::unary)? == 0).into());
        }
        if self.eat("(") {
            let value = self.nested(Self::list)?;
            return if self.eat(")") { Ok(value) } else { Err(UNBALANCED) };
        }
        self.operand()
    }

    fn operand(&mut self) -> Result<i32, Failure> {
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word.chars().next() {
            None => Err(NO_OPERAND),
            Some(c) if c.is_ascii_digit() => number(word),
            Some(_) => self.value_of(word),
        }
    }

    /// A variable's value; what is not defined or no number counts as 0.
    fn value_of(&self, name: &str) -> Result<i32, Failure> {
        match self.shell.variable(name) {
            Some(text) => Ok(number(text.trim()).unwrap_or(0)),
            None => Ok(0),
        }
    }
}

fn number(word: &str) -> Result<i32, Failure> {
    i32::try_from(integer(word).ok_or(BAD_NUMBER)?).map_err(|_| LARGE_NUMBER)
}

fn apply(operator: &str, a: i32, b: i32) -> Result<i32, Failure> {
    let shift = u32::try_from(b).ok().filter(|n| *n < 32);
    Ok(match operator {
        "|" => a | b,
        "^" => a ^ b,
        "&" => a & b,
        "<<" => shift.map_or(0, |n| a << n),
        ">>" => shift.map_or(if a < 0 { -1 } else { 0 }, |n| a >> n),
        "+" => a.wrapping_add(b),
        "-" => a.wrapping_sub(b),
        "*" => a.wrapping_mul(b),
        _ if b == 0 => return Err(DIVIDED),
        "/" => a.wrapping_div(b),
        _ => a.wrapping_rem(b),
    })
}

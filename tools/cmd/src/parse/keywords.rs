//! `if`, `for` and `rem`: the commands whose syntax is the parser's.

use super::{Parser, Syntax};
use crate::ast::{Condition, For, If, Node, Range, Redirection, Relation};

impl Parser<'_> {
    /// A command that may begin with a keyword.
    pub(super) fn keyword(&mut self, redirections: &mut Vec<Redirection>) -> Result<Node, Syntax> {
        if self.lexer.eat_word("if") {
            return self.if_command();
        }
        if self.lexer.eat_word("for") {
            return self.for_command();
        }
        if self.lexer.eat_word("rem") {
            self.lexer.skip_blanks();
            // Only what follows at once is seen; a comment that has begun hides operators.
            if !matches!(self.lexer.peek(), Some('&' | '|')) {
                self.lexer.skip_line();
            }
            return Ok(Node::Simple("rem".to_owned()));
        }
        self.simple(redirections)
    }

    fn in_block(&self) -> bool {
        self.blocks > 0
    }

    fn word(&mut self) -> String {
        self.lexer.skip_delimiters();
        self.lexer.token(self.in_block())
    }

    /// The command that belongs to an `if` or `for`.
    fn body(&mut self) -> Result<Node, Syntax> {
        self.lexer.skip_delimiters();
        if self.lexer.peek().is_none() {
            return Err(Syntax::incorrect());
        }
        self.sequence()
    }

    fn if_command(&mut self) -> Result<Node, Syntax> {
        self.lexer.skip_delimiters();
        let mut folded = self.lexer.eat_word("/i");
        self.lexer.skip_delimiters();
        let mut negated = false;
        while self.lexer.eat_word("not") {
            negated = !negated;
            self.lexer.skip_delimiters();
        }
        folded |= self.lexer.eat_word("/i");
        let condition = self.condition()?;
        let then = self.body()?;
        self.lexer.skip_delimiters();
        let otherwise = if self.lexer.eat_word("else") { Some(self.body()?) } else { None };
        Ok(Node::If(Box::new(If { negated, folded, condition, then, otherwise })))
    }

    fn condition(&mut self) -> Result<Condition, Syntax> {
        self.lexer.skip_delimiters();
        for (word, make) in [
            ("exist", Condition::Exist as fn(String) -> Condition),
            ("defined", Condition::Defined),
            ("errorlevel", Condition::ErrorLevel),
            ("cmdextversion", Condition::ExtensionVersion),
        ] {
            if self.lexer.eat_word(word) {
                // `if exist==x` compares a word like any other.
                self.lexer.skip_blanks();
                if self.lexer.peek() == Some('=') && self.lexer.peek_at(1) == Some('=') {
                    return self.comparison(word.to_owned());
                }
                return match self.word() {
                    name if name.is_empty() => Err(Syntax::incorrect()),
                    name => Ok(make(name)),
                };
            }
        }
        let left = self.lexer.token(self.in_block());
        if left.is_empty() {
            return Err(match self.lexer.peek() {
                None => Syntax::incorrect(),
                Some(_) => Syntax::unexpected(&self.lexer.shown_token()),
            });
        }
        self.comparison(left)
    }

    /// `== b` or `lss b`, behind `a`.
    fn comparison(&mut self, left: String) -> Result<Condition, Syntax> {
        self.lexer.skip_blanks();
        if self.lexer.peek() == Some('=') && self.lexer.peek_at(1) == Some('=') {
            self.lexer.advance(2);
            return match self.word() {
                right if right.is_empty() => Err(Syntax::unexpected(&self.lexer.shown_token())),
                right => Ok(Condition::Equal(left, right)),
            };
        }
        let word = self.word();
        let relation = Relation::from_word(&word).ok_or_else(|| Syntax::unexpected(&word))?;
        match self.word() {
            right if right.is_empty() => Err(Syntax::unexpected(&self.lexer.shown_token())),
            right => Ok(Condition::Compare(left, relation, right)),
        }
    }

    fn for_command(&mut self) -> Result<Node, Syntax> {
        let range = self.range()?;
        let variable = self.word();
        let mut name = variable.chars();
        let variable = match (name.next(), name.next(), name.next()) {
            (Some('%'), Some(c), None) => c,
            _ => return Err(Syntax::unexpected(&variable)),
        };
        self.lexer.skip_delimiters();
        if !self.lexer.eat_word("in") {
            return Err(Syntax::unexpected(&self.lexer.shown_token()));
        }
        let set = self.set()?;
        self.lexer.skip_delimiters();
        if !self.lexer.eat_word("do") {
            return Err(Syntax::unexpected(&self.lexer.shown_token()));
        }
        let body = self.body()?;
        Ok(Node::For(Box::new(For { range, variable, set, body })))
    }

    /// The switches of `for`, with what belongs to them.
    fn range(&mut self) -> Result<Range, Syntax> {
        let mut range = Range::Files;
        loop {
            self.lexer.skip_delimiters();
            let Some('/') = self.lexer.peek() else { return Ok(range) };
            let switch = self.word();
            self.lexer.skip_delimiters();
            let names_variable = self.lexer.peek() == Some('%');
            range = match (switch.to_ascii_lowercase().as_str(), range) {
                ("/d", Range::Tree(root, _)) => Range::Tree(root, true),
                ("/d", _) => Range::Folders,
                ("/r", before) => {
                    let root = if names_variable || self.lexer.peek() == Some('/') {
                        None
                    } else {
                        Some(self.word())
                    };
                    Range::Tree(root, before == Range::Folders)
                }
                ("/l", _) => Range::Numbers,
                ("/f", _) => Range::Fields(if names_variable { String::new() } else { self.word() }),
                _ => return Err(Syntax::unexpected(&switch)),
            };
        }
    }

    /// What stands in the parentheses of a `for`, on as many lines as it takes.
    fn set(&mut self) -> Result<String, Syntax> {
        self.lexer.skip_delimiters();
        if self.lexer.peek() != Some('(') {
            return Err(Syntax::unexpected(&self.lexer.shown_token()));
        }
        self.lexer.advance(1);
        let mut set = String::new();
        loop {
            match self.lexer.peek() {
                Some(')') => break,
                Some(_) => self.lexer.take_into(&mut set),
                None if self.lexer.fetch() => set.push(' '),
                None => return Err(Syntax::incorrect()),
            }
        }
        self.lexer.advance(1);
        Ok(set)
    }
}

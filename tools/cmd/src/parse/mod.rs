//! From lines to commands: operators, parentheses, `if` and `for`. Characters and words are [`lexer`]'s matter.
//!
//! Lines come with their percent signs expanded already, one by one as the parser needs them: an open parenthesis or a caret at
//! the end of a line asks for another one.
//!
//! From loose to tight: `&`, `||`, `&&`, `|`, then redirections. The command of an `if` or `for` takes everything to the end of its line.

mod keywords;
mod lexer;
#[cfg(test)]
mod tests;

use crate::ast::{Node, Redirection};
use lexer::Lexer;

/// Where lines come from.
pub(crate) trait Source {
    /// The next line, without its end; `None` if there is none.
    fn next_line(&mut self) -> Option<String>;
}

/// No more lines than the one there is.
impl Source for () {
    fn next_line(&mut self) -> Option<String> {
        None
    }
}

/// Why a line means nothing: the message for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Syntax(pub(crate) String);

impl Syntax {
    fn unexpected(token: &str) -> Self {
        Self(format!("{token} was unexpected at this time."))
    }

    pub(crate) fn incorrect() -> Self {
        Self("The syntax of the command is incorrect.".to_owned())
    }
}

/// How deep commands may be nested: the parser and the executor recurse.
const DEEPEST: usize = 256;

/// The parser's state.
struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Open parentheses.
    blocks: usize,
    /// Nested commands of any sort.
    depth: usize,
}

/// Parses a line and those that it needs.
///
/// # Errors
/// A message, if it means nothing.
pub(crate) fn parse(line: &str, source: &mut dyn Source) -> Result<Node, Syntax> {
    let mut parser = Parser { lexer: Lexer::new(line, source), blocks: 0, depth: 0 };
    let node = parser.sequence()?;
    parser.expect_end()?;
    Ok(node)
}

impl Parser<'_> {
    /// After a whole command there is the end of the line, or of the block.
    fn expect_end(&mut self) -> Result<(), Syntax> {
        self.lexer.skip_delimiters();
        match self.lexer.peek() {
            None => Ok(()),
            Some(')') if self.blocks > 0 => Ok(()),
            Some(_) => Err(Syntax::unexpected(&self.lexer.shown_token())),
        }
    }

    /// `a & b & c`, to the end of the line or block.
    fn sequence(&mut self) -> Result<Node, Syntax> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Syntax::incorrect());
        }
        let mut left = self.alternative()?;
        while self.eat_operator("&") {
            self.lexer.skip_delimiters();
            if matches!(self.lexer.peek(), None | Some(')')) {
                break;
            }
            left = Node::Sequence(Box::new(left), Box::new(self.alternative()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    /// `a || b`
    fn alternative(&mut self) -> Result<Node, Syntax> {
        let mut left = self.conjunction()?;
        while self.eat_operator("||") {
            left = Node::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    /// `a && b`
    fn conjunction(&mut self) -> Result<Node, Syntax> {
        let mut left = self.pipeline()?;
        while self.eat_operator("&&") {
            left = Node::And(Box::new(left), Box::new(self.pipeline()?));
        }
        Ok(left)
    }

    /// `a | b`
    fn pipeline(&mut self) -> Result<Node, Syntax> {
        let mut left = self.command()?;
        while self.eat_operator("|") {
            left = Node::Pipe(Box::new(left), Box::new(self.command()?));
        }
        Ok(left)
    }

    /// Takes an operator if it stands here: exactly this one, not a longer one.
    fn eat_operator(&mut self, operator: &str) -> bool {
        self.lexer.skip_blanks();
        let symbol = operator.chars().next();
        let here = (0..3).take_while(|n| self.lexer.peek_at(*n) == symbol).count();
        let found = if operator.len() == 2 { here >= 2 } else { here == 1 };
        if found {
            self.lexer.advance(operator.len());
        }
        found
    }

    /// A command with its redirections.
    fn command(&mut self) -> Result<Node, Syntax> {
        let mut redirections = Vec::new();
        loop {
            self.lexer.skip_delimiters();
            match self.redirection("")? {
                Some(redirection) => redirections.push(redirection),
                None => break,
            }
        }
        let node = match self.lexer.peek() {
            None | Some(')') if !redirections.is_empty() => Node::Nothing,
            None => Node::Nothing,
            Some('@') => {
                self.lexer.advance(1);
                Node::Quiet(Box::new(self.sequence()?))
            }
            Some('(') => self.block()?,
            // Nothing is open that this could close: such a line is a comment.
            Some(')') if self.blocks == 0 => self.rest_of_line(),
            Some(':') => self.rest_of_line(),
            Some('&' | '|' | ')') => return Err(Syntax::unexpected(&self.lexer.shown_token())),
            Some(_) => self.keyword(&mut redirections)?,
        };
        if matches!(node, Node::Block(_)) {
            loop {
                self.lexer.skip_blanks();
                match self.redirection("")? {
                    Some(redirection) => redirections.push(redirection),
                    None => break,
                }
            }
        }
        Ok(if redirections.is_empty() { node } else { Node::Redirected(Box::new(node), redirections) })
    }

    /// Skips a label or comment.
    fn rest_of_line(&mut self) -> Node {
        self.lexer.skip_line();
        Node::Nothing
    }

    /// `( commands )`, on as many lines as it takes.
    fn block(&mut self) -> Result<Node, Syntax> {
        self.lexer.advance(1);
        self.blocks += 1;
        let mut nodes = Vec::new();
        loop {
            self.lexer.skip_delimiters();
            match self.lexer.peek() {
                None if self.lexer.fetch() => continue,
                None => return Err(Syntax::incorrect()),
                Some(')') => break,
                Some(_) => {}
            }
            match self.sequence()? {
                Node::Nothing => {}
                node => nodes.push(node),
            }
            self.expect_end()?;
        }
        self.lexer.advance(1);
        self.blocks -= 1;
        Ok(Node::Block(nodes))
    }

    /// A command without a keyword: everything up to an operator, redirections taken out.
    fn simple(&mut self, redirections: &mut Vec<Redirection>) -> Result<Node, Syntax> {
        let mut text = String::new();
        loop {
            if let Some(redirection) = self.redirection(&text)? {
                redirections.push(redirection);
                continue;
            }
            match self.lexer.peek() {
                None | Some('&' | '|') => break,
                Some(')') if self.blocks > 0 => break,
                Some(_) => self.lexer.take_into(&mut text),
            }
        }
        Ok(Node::Simple(text))
    }
}

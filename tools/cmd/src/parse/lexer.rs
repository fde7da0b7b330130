//! Characters and words of a line: quotation marks, carets, delimiters, redirections.

use super::{Parser, Source, Syntax};
use crate::ast::{Redirection, Target};
use crate::streams::Purpose;
use crate::text::is_delimiter;

/// The line being parsed, and where its followers come from.
pub(super) struct Lexer<'a> {
    line: Vec<char>,
    at: usize,
    source: &'a mut dyn Source,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(line: &str, source: &'a mut dyn Source) -> Self {
        Self { line: line.chars().collect(), at: 0, source }
    }

    /// The character here; `None` at the end of the line.
    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, distance: usize) -> Option<char> {
        self.line.get(self.at + distance).copied()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.line.len());
    }

    /// Goes on to the next line, if there is one.
    pub(super) fn fetch(&mut self) -> bool {
        let Some(line) = self.source.next_line() else { return false };
        self.line = line.chars().collect();
        self.at = 0;
        true
    }

    pub(super) fn skip_line(&mut self) {
        self.at = self.line.len();
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    /// Skips delimiters, and line ends that a caret escapes.
    pub(super) fn skip_delimiters(&mut self) {
        loop {
            match self.peek() {
                Some(c) if is_delimiter(c) => self.at += 1,
                Some('^') if self.at + 1 == self.line.len() => {
                    self.at += 1;
                    if !self.fetch() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// What an error message shows: the operator or word that stands here.
    pub(super) fn shown_token(&self) -> String {
        let rest = &self.line[self.at.min(self.line.len())..];
        let is_symbol = |c: char| matches!(c, '&' | '|' | '<' | '>');
        match rest.first() {
            Some(c) if is_symbol(*c) => rest.iter().take(2).take_while(|s| *s == c).collect(),
            Some(c @ ('(' | ')')) => c.to_string(),
            _ => rest.iter().take_while(|c| !is_delimiter(**c) && !is_symbol(**c) && **c != ')').collect(),
        }
    }

    /// Takes a character, or a whole quotation, or what a caret escapes.
    pub(super) fn take_into(&mut self, text: &mut String) {
        match self.peek() {
            Some('"') => self.take_quotation(text),
            Some('^') => self.take_escaped(text),
            Some(c) => {
                text.push(c);
                self.at += 1;
            }
            None => {}
        }
    }

    /// To the closing quotation mark, or the end of the line: nothing is special in between.
    fn take_quotation(&mut self, text: &mut String) {
        text.push('"');
        self.at += 1;
        while let Some(c) = self.peek() {
            text.push(c);
            self.at += 1;
            if c == '"' {
                return;
            }
        }
    }

    /// What follows a caret stands for itself. At the end of a line the line goes on with the next one, whose first character
    /// stands for itself.
    fn take_escaped(&mut self, text: &mut String) {
        self.at += 1;
        if self.peek().is_none() && !self.fetch() {
            return;
        }
        if let Some(c) = self.peek() {
            text.push(c);
            self.at += 1;
        }
    }

    /// A word: up to a delimiter or special character, or a closing parenthesis if one is open.
    pub(super) fn token(&mut self, in_block: bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let end = is_delimiter(c) || matches!(c, '&' | '|' | '<' | '>') || (c == ')' && in_block);
            if end {
                break;
            }
            self.take_into(&mut text);
        }
        text
    }

    /// Takes a keyword, if it stands here as a whole word.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let mut here = 0;
        for wanted in word.chars() {
            match self.peek_at(here) {
                Some(c) if c.eq_ignore_ascii_case(&wanted) => here += 1,
                _ => return false,
            }
        }
        let whole = match self.peek_at(here) {
            None => true,
            Some(c) => is_delimiter(c) || matches!(c, '(' | ')' | '&' | '|' | '<' | '>' | '/' | '"'),
        };
        if whole {
            self.at += here;
        }
        whole
    }
}

impl Parser<'_> {
    /// A redirection, if one stands here. `text` is the command so far, which tells whether a digit is a word.
    pub(super) fn redirection(&mut self, text: &str) -> Result<Option<Redirection>, Syntax> {
        let number = self.redirected_number(text);
        let skip = usize::from(number.is_some() && !matches!(self.lexer.peek(), Some('<' | '>')));
        let Some(arrow @ ('<' | '>')) = self.lexer.peek_at(skip) else { return Ok(None) };
        self.lexer.advance(skip + 1);
        let append = arrow == '>' && self.lexer.peek() == Some('>');
        if append {
            self.lexer.advance(1);
        }
        let purpose = match arrow {
            '<' => Purpose::Read,
            _ if append => Purpose::Append,
            _ => Purpose::Write,
        };
        let number = number.unwrap_or(usize::from(arrow == '>'));
        self.lexer.skip_delimiters();
        if self.lexer.peek() == Some('&') {
            let Some(same) = self.lexer.peek_at(1).and_then(digit) else {
                return Err(Syntax::unexpected("&"));
            };
            self.lexer.advance(2);
            return Ok(Some(Redirection { number, target: Target::Same(same) }));
        }
        let name = self.lexer.token(self.blocks > 0);
        if name.is_empty() {
            return Err(match self.lexer.peek() {
                None => Syntax::incorrect(),
                Some(_) => Syntax::unexpected(&self.lexer.shown_token()),
            });
        }
        Ok(Some(Redirection { number, target: Target::File(purpose, name) }))
    }

    /// The digit right before an arrow, if it is a word of its own: here, or as the end of the text so far.
    fn redirected_number(&mut self, text: &str) -> Option<usize> {
        let starts_word = text.chars().next_back().is_none_or(|c| is_delimiter(c) || c == '"');
        let here = self.lexer.peek()?;
        if starts_word && matches!(self.lexer.peek_at(1), Some('<' | '>')) {
            return digit(here);
        }
        None
    }
}

fn digit(c: char) -> Option<usize> {
    c.to_digit(10).map(|n| n as usize)
}

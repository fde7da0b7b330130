//! What a line of commands means, before anything of it is executed.
//!
//! Texts have their carets resolved; variables of `for` and delayed variables in them are still to be expanded, each time
//! the command is executed.

use core::fmt;

use crate::streams::Purpose;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// An empty line, a label or a comment.
    Nothing,
    /// A command's name and all that follows it.
    Simple(String),
    /// `@command`: not echoed.
    Quiet(Box<Node>),
    /// `( ... )`
    Block(Vec<Node>),
    /// A command with its redirections, from left to right.
    Redirected(Box<Node>, Vec<Redirection>),
    /// `a & b`
    Sequence(Box<Node>, Box<Node>),
    /// `a && b`
    And(Box<Node>, Box<Node>),
    /// `a || b`
    Or(Box<Node>, Box<Node>),
    /// `a | b`
    Pipe(Box<Node>, Box<Node>),
    /// `if`
    If(Box<If>),
    /// `for`
    For(Box<For>),
}

/// `2>file` and its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirection {
    /// What is redirected.
    pub(crate) number: usize,
    /// Whereto.
    pub(crate) target: Target,
}

/// Where a redirection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file.
    File(Purpose, String),
    /// `&n`: where that one leads.
    Same(usize),
}

/// `if [/i] [not] condition command [else command]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct If {
    /// `not`
    pub(crate) negated: bool,
    /// `/i`
    pub(crate) folded: bool,
    /// The condition.
    pub(crate) condition: Condition,
    /// What is done if it holds.
    pub(crate) then: Node,
    /// What is done if it does not.
    pub(crate) otherwise: Option<Node>,
}

/// A condition of `if`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `exist name`
    Exist(String),
    /// `defined variable`
    Defined(String),
    /// `errorlevel number`
    ErrorLevel(String),
    /// `cmdextversion number`
    ExtensionVersion(String),
    /// `a==b`
    Equal(String, String),
    /// `a lss b` and its like.
    Compare(String, Relation, String),
}

/// The relations of command extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// `equ`
    Equal,
    /// `neq`
    Unequal,
    /// `lss`
    Less,
    /// `leq`
    LessOrEqual,
    /// `gtr`
    Greater,
    /// `geq`
    GreaterOrEqual,
}

/// `for`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct For {
    /// What it goes through.
    pub(crate) range: Range,
    /// Its variable.
    pub(crate) variable: char,
    /// What stands in parentheses.
    pub(crate) set: String,
    /// What is done each time.
    pub(crate) body: Node,
}

/// What a `for` goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// Words and files.
    Files,
    /// `/d`: folders.
    Folders,
    /// `/r [folder]`: files of a tree (`true`: folders, `/d /r`).
    Tree(Option<String>, bool),
    /// `/l`: numbers.
    Numbers,
    /// `/f [options]`: fields of lines.
    Fields(String),
}

impl Relation {
    /// From its word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "equ" => Self::Equal,
            "neq" => Self::Unequal,
            "lss" => Self::Less,
            "leq" => Self::LessOrEqual,
            "gtr" => Self::Greater,
            "geq" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// Whether two things that compare so are in this relation.
    pub(crate) fn holds(self, order: core::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Equal => "EQU",
            Self::Unequal => "NEQ",
            Self::Less => "LSS",
            Self::LessOrEqual => "LEQ",
            Self::Greater => "GTR",
            Self::GreaterOrEqual => "GEQ",
        }
    }
}

/// As commands are echoed before they are executed.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Simple(text) => f.write_str(text),
            Self::Quiet(node) => write!(f, "@{node}"),
            Self::Block(nodes) => match &nodes[..] {
                [one] => write!(f, "({one} )"),
                nodes => {
                    f.write_str("(\r\n")?;
                    for node in nodes {
                        write!(f, "{node} \r\n")?;
                    }
                    f.write_str(")")
                }
            },
            Self::Redirected(node, redirections) => {
                write!(f, "{node}")?;
                redirections.iter().try_for_each(|r| write!(f, " {r}"))
            }
            Self::Sequence(a, b) => write!(f, "{a}  & {b}"),
            Self::And(a, b) => write!(f, "{a}  && {b}"),
            Self::Or(a, b) => write!(f, "{a}  || {b}"),
            Self::Pipe(a, b) => write!(f, "{a}  | {b}"),
            Self::If(node) => write!(f, "{node}"),
            Self::For(node) => write!(f, "{node}"),
        }
    }
}

impl fmt::Display for Redirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        match &self.target {
            Target::File(Purpose::Read, name) => write!(f, "<{name}"),
            Target::File(Purpose::Write, name) => write!(f, ">{name}"),
            Target::File(Purpose::Append, name) => write!(f, ">>{name}"),
            Target::Same(number) => write!(f, ">&{number}"),
        }
    }
}

impl fmt::Display for If {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.folded { "if /I " } else { "if " })?;
        f.write_str(if self.negated { "not " } else { "" })?;
        match &self.condition {
            Condition::Exist(name) => write!(f, "exist {name} ")?,
            Condition::Defined(name) => write!(f, "defined {name} ")?,
            Condition::ErrorLevel(n) => write!(f, "errorlevel {n} ")?,
            Condition::ExtensionVersion(n) => write!(f, "cmdextversion {n} ")?,
            Condition::Equal(a, b) => write!(f, "{a} == {b} ")?,
            Condition::Compare(a, relation, b) => write!(f, "{a} {} {b} ", relation.word())?,
        }
        write!(f, "{}", self.then)?;
        self.otherwise.as_ref().map_or(Ok(()), |otherwise| write!(f, "  else {otherwise}"))
    }
}

impl fmt::Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = match &self.range {
            Range::Files => String::new(),
            Range::Folders => " /D".to_owned(),
            Range::Tree(root, folders) => {
                let root = root.as_ref().map(|r| format!(" {r}")).unwrap_or_default();
                format!("{} /R{root}", if *folders { " /D" } else { "" })
            }
            Range::Numbers => " /L".to_owned(),
            Range::Fields(options) if options.is_empty() => " /F".to_owned(),
            Range::Fields(options) => format!(" /F {options}"),
        };
        write!(f, "for{range} %{} in ({}) do {}", self.variable, self.set, self.body)
    }
}

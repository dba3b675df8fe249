//! One file's text: the modules that it declares, and every path that it names, with its line. Comments, texts and parts for
//! tests do not count.
use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A path as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// All that stands there.
    pub(super) is_glob: bool,
}

/// A module as its text has it.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Modules with a file of their own: the name, and the file if an attribute says which.
    pub(super) files: Vec<(String, Option<String>)>,
    /// Modules in this same text.
    pub(super) inline: Vec<(String, Text)>,
    /// What `use` brings in: the name here, and what it stands for.
    pub(super) names: BTreeMap<String, Vec<String>>,
    /// Every path of two words or more, and all that `use` names.
    pub(super) named: Vec<Named>,
}

/// What an attribute says that matters here.
#[derive(Debug, Default)]
struct Attribute {
    for_tests: bool,
    file: Option<String>,
}

/// # Errors
/// The text is no Rust.
pub(super) fn read(text: &str) -> Result<Text, String> {
    let tokens: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
    let mut found = Text::default();
    found.scan(tokens, true);
    Ok(found)
}

impl Text {
    fn scan(&mut self, tokens: TokenStream, is_module: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut file = None;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at = match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => match attribute_at(&tokens, at) {
                    None => at + 1,
                    Some((group, next)) => {
                        let attribute = self.attribute(group);
                        let is_inner = next - at == 3;
                        if attribute.for_tests && is_inner {
                            return;
                        }
                        file = attribute.file.or(file);
                        if attribute.for_tests { after_item(&tokens, next) } else { next }
                    }
                },
                TokenTree::Ident(word) if *word == "use" => {
                    let end = until(&tokens, at, ';');
                    self.use_tree(&tokens[at + 1..end], &[]);
                    end + 1
                }
                TokenTree::Ident(word) if is_module && *word == "mod" => self.module(&tokens, at, file.take()),
                TokenTree::Ident(word) => self.path(&tokens, at, word),
                TokenTree::Group(group) => {
                    // `pub(in crate::x)` says who may see, not what is used.
                    if !matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(first)) if first == "in") {
                        self.scan(group.stream(), false);
                    }
                    at + 1
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
            };
        }
    }

    /// Also looks into its texts: `#[serde(with = "crate::x::pairs")]` names a file too.
    fn attribute(&mut self, group: &Group) -> Attribute {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let mut attribute = Attribute::default();
        match tokens.as_slice() {
            [TokenTree::Ident(doc), ..] if *doc == "doc" => {}
            [TokenTree::Ident(cfg), TokenTree::Group(when), ..] if *cfg == "cfg" => {
                attribute.for_tests = asks_for_test(when.stream());
            }
            [TokenTree::Ident(path), TokenTree::Punct(_), TokenTree::Literal(file)] if *path == "path" => {
                attribute.file = Some(file.to_string().trim_matches('"').to_owned());
            }
            [..] => self.texts(group.stream()),
        }
        attribute
    }

    fn texts(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.texts(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let path: Vec<String> = text.trim_matches('"').split("::").map(str::to_owned).collect();
                    let is_word = |word: &String| word.chars().all(|c| c.is_alphanumeric() || c == '_');
                    if path.len() > 1 && path.iter().all(is_word) {
                        self.named.push(Named { line: literal.span().start().line, path, is_glob: false });
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }

    /// `mod x;` or `mod x { ... }`; gives where it goes on.
    fn module(&mut self, tokens: &[TokenTree], at: usize, file: Option<String>) -> usize {
        match (tokens.get(at + 1), tokens.get(at + 2)) {
            (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(_))) => self.files.push((plain(name), file)),
            (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) => {
                let mut inside = Self::default();
                inside.scan(body.stream(), true);
                self.inline.push((plain(name), inside));
            }
            (_, _) => {}
        }
        at + 3
    }

    /// The path that begins here, if one does; gives where it goes on.
    fn path(&mut self, tokens: &[TokenTree], at: usize, first: &Ident) -> usize {
        let mut path = vec![plain(first)];
        let mut next = at + 1;
        while let (true, Some(TokenTree::Ident(word))) = (is_colons(tokens, next), tokens.get(next + 2)) {
            path.push(plain(word));
            next += 3;
        }
        // What follows `<T>::` or `Vec::<T>::` is a part of something else.
        let goes_on = at >= 2 && is_colons(tokens, at - 2);
        if path.len() > 1 && !goes_on {
            self.named.push(Named { line: first.span().start().line, path, is_glob: false });
        }
        next
    }

    fn use_tree(&mut self, tokens: &[TokenTree], prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut line = 0;
        let mut alias = None;
        let mut is_glob = false;
        let mut words = tokens.iter().peekable();
        while let Some(token) = words.next() {
            match token {
                TokenTree::Ident(word) if *word == "as" => {
                    alias = words.next().map(|name| name.to_string());
                }
                TokenTree::Ident(word) => {
                    line = word.span().start().line;
                    path.push(plain(word));
                }
                TokenTree::Group(group) => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                    inside.split(is_comma).for_each(|part| self.use_tree(part, &path));
                    return;
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    line = punct.span().start().line;
                    is_glob = true;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        if line == 0 {
            return;
        }
        path.pop_if(|last| last == "self" && !prefix.is_empty());
        if let (false, Some(name)) = (is_glob, alias.as_ref().or(path.last())) {
            self.names.insert(name.clone(), path.clone());
        }
        self.named.push(Named { line, path, is_glob });
    }
}

fn plain(word: &Ident) -> String {
    let word = word.to_string();
    word.strip_prefix("r#").unwrap_or(&word).to_owned()
}

fn is_punct(tokens: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':')
}

/// The attribute that begins here, and where it goes on: two tokens later, three for an inner one.
fn attribute_at(tokens: &[TokenTree], at: usize) -> Option<(&Group, usize)> {
    let group_at = if is_punct(tokens, at + 1, '!') { at + 2 } else { at + 1 };
    match tokens.get(group_at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => Some((group, group_at + 1)),
        Some(_) | None => None,
    }
}

/// `test` in a condition, unless it is `not(test)`.
fn asks_for_test(condition: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = condition.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(word) => *word == "test",
        TokenTree::Group(group) => {
            let is_not = at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(word) if *word == "not");
            !is_not && asks_for_test(group.stream())
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn until(tokens: &[TokenTree], from: usize, end: char) -> usize {
    (from..tokens.len()).find(|at| is_punct(tokens, *at, end)).unwrap_or(tokens.len())
}

/// Where it goes on after the item, statement, field or arm that begins here.
fn after_item(tokens: &[TokenTree], mut at: usize) -> usize {
    const WITH_BODY: [&str; 9] = ["async", "enum", "extern", "fn", "impl", "mod", "struct", "trait", "unsafe"];
    const TO_SEMICOLON: [&str; 5] = ["const", "let", "static", "type", "use"];
    while is_punct(tokens, at, '#') {
        at = attribute_at(tokens, at).map_or(at + 1, |(_, next)| next);
    }
    if matches!(tokens.get(at), Some(TokenTree::Ident(word)) if *word == "pub") {
        let has_scope = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
        at += if has_scope { 2 } else { 1 };
    }
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(word)) => word.to_string(),
        Some(_) | None => String::new(),
    };
    let is_const_fn = word(at) == "const" && WITH_BODY.contains(&word(at + 1).as_str());
    if TO_SEMICOLON.contains(&word(at).as_str()) && !is_const_fn {
        return until(tokens, at, ';') + 1;
    }
    let has_body = is_const_fn || WITH_BODY.contains(&word(at).as_str());
    let ends = |at: &usize| match &tokens[*at] {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';' || (punct.as_char() == ',' && !has_body),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    (at..tokens.len()).find(ends).unwrap_or(tokens.len()) + 1
}

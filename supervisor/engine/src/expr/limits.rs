//! What may be given to the CEL parser at all. The parser recurses without a bound of its own, and a stack
//! overflow ends the process; so texts are measured before, without parsing them.
use super::ir::Fault;

/// Stack that a text within the limits needs at most, with a wide margin (an unoptimised build included).
pub(crate) const STACK_BYTES: usize = 16 * 1024 * 1024;
/// Longest text, in characters.
const MAX_CHARS: usize = 512;
/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 16;
/// Most operators; each may cost the parser a level of its own.
const MAX_OPERATORS: usize = 64;
/// Most field accesses.
const MAX_DOTS: usize = 64;

/// Refuses a text that is too long, too deep or too rich, or holds what no playbook needs.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    let fault = |offset, message: String| Err(Fault { offset, message, hint: None });
    let chars: Vec<char> = text.chars().collect();
    if chars.iter().all(|c| c.is_whitespace()) {
        return fault(0, "the expression is empty".to_owned());
    }
    if chars.len() > MAX_CHARS {
        return fault(
            0,
            format!("the expression has {} characters, at most {MAX_CHARS} may be: use `let`", chars.len()),
        );
    }
    let (mut depth, mut operators, mut dots) = (0_usize, 0_usize, 0_usize);
    let mut quote: Option<char> = None;
    let mut previous = ' ';
    for (offset, c) in chars.iter().copied().enumerate() {
        if let Some(open) = quote {
            match c {
                '\\' | '\n' => return fault(offset, "a text may hold no backslash and no line break".to_owned()),
                c if c == open => quote = None,
                _ => {}
            }
            previous = ' ';
            continue;
        }
        match c {
            '\'' | '"' if previous.is_alphanumeric() => {
                return fault(offset, "texts with a prefix (r'', b'') are not allowed".to_owned());
            }
            '\'' | '"' => quote = Some(c),
            '(' | '[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return fault(offset, format!("brackets nest more than {MAX_DEPTH} deep: use `let`"));
                }
            }
            ')' | ']' => depth = depth.saturating_sub(1),
            '/' if previous == '/' => return fault(offset, "comments are not allowed in expressions".to_owned()),
            '.' => dots += 1,
            '+' | '-' | '*' | '/' | '%' | '!' | '<' | '>' | '?' | ':' | ',' => operators += 1,
            // The second character of `==`, `!=`, `<=`, `>=`, `&&`, `||` is no operator of its own.
            '=' | '&' | '|' => operators += usize::from(!matches!(previous, '=' | '!' | '<' | '>' | '&' | '|')),
            c if c.is_ascii_alphanumeric() || c == '_' || c.is_ascii_whitespace() => {}
            _ => return fault(offset, format!("{c:?} has no meaning in an expression")),
        }
        if operators > MAX_OPERATORS || dots > MAX_DOTS {
            return fault(offset, format!("more than {MAX_OPERATORS} operators or field accesses: use `let`"));
        }
        previous = c;
    }
    if quote.is_some() {
        return fault(chars.len(), "a text is not closed".to_owned());
    }
    Ok(())
}

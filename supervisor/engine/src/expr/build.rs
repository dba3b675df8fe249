//! The parser's tree as a typed expression. Every name and every type is checked here, so that a wrong one
//! is told at load and not when the failure is there.
use cel::Program;
use cel::common::ast::{CallExpr, Expr as Tree, IdedExpr, LiteralValue, SourceInfo, operators};
use wbd_model::observation::{Kind, Value};
use wbd_model::suggest;

use super::ir::{Calculation, Comparison, Extreme, Fault, Ir, TextTest, a};
use super::names::{Names, Reference};

/// Operands that `least`, `greatest` and a list may have.
const MAX_OPERANDS: usize = 16;
const FUNCTIONS: [&str; 6] = ["least", "greatest", "size", "contains", "startsWith", "endsWith"];

type Built = Result<(Ir, Kind), Fault>;

pub(super) fn build(text: &str, names: &Names<'_>) -> Built {
    let program = Program::compile(text).map_err(|errors| syntax_fault(&errors, text))?;
    Builder { text, names, places: program.source_info() }.node(program.expression())
}

fn syntax_fault(errors: &cel::ParseErrors, text: &str) -> Fault {
    let first = errors.errors.first();
    let message = first.map_or("not an expression", |error| error.msg.as_str());
    // ANTLR lists every token it would have taken; the first words say enough.
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message: String = message.strip_prefix("Syntax error: ").unwrap_or(message).chars().take(120).collect();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let above: usize =
        text.lines().take(usize::try_from(line - 1).unwrap_or(0)).map(|line| line.chars().count() + 1).sum();
    let offset = (above + usize::try_from(column - 1).unwrap_or(0)).min(text.chars().count());
    Fault { offset, message: format!("not an expression: {}", message.replace('\n', " ")), hint: None }
}

struct Builder<'a> {
    text: &'a str,
    names: &'a Names<'a>,
    places: &'a SourceInfo,
}

impl Builder<'_> {
    fn node(&self, node: &IdedExpr) -> Built {
        match &node.expr {
            Tree::Literal(literal) => self.literal(node, literal),
            Tree::Select(select) if select.test => self.has(node),
            Tree::Ident(_) | Tree::Select(_) => self.name(node),
            Tree::Call(call) => self.call(node, call),
            Tree::List(_) => Err(self.fault(node, "a list may stand only on the right of `in`")),
            Tree::Comprehension(_) => Err(self
                .fault(node, "all, exists, exists_one, map and filter are not allowed: a probe gives summary counts")),
            Tree::Map(_) | Tree::Struct(_) | Tree::Unspecified => Err(self.fault(node, "maps are not allowed")),
        }
    }

    fn literal(&self, node: &IdedExpr, literal: &LiteralValue) -> Built {
        let value = match literal {
            LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
            LiteralValue::Int(value) => Value::Int(*value.inner()),
            LiteralValue::String(value) => Value::Text(value.inner().to_owned()),
            LiteralValue::Null => {
                return Err(self.fault(
                    node,
                    "null is not allowed: what was not seen makes a condition unknown by itself; has(NAME) tells",
                ));
            }
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => {
                return Err(self.fault(node, "only true, false, whole numbers and texts are allowed"));
            }
        };
        let kind = value.kind();
        Ok((Ir::Const(value), kind))
    }

    fn name(&self, node: &IdedExpr) -> Built {
        let (reference, kind) = self.reference(node)?;
        Ok((Ir::Ref(reference), kind))
    }

    /// `has(ino.needed)`: whether it was seen. The one way to go on without what was not seen.
    fn has(&self, node: &IdedExpr) -> Built {
        let (reference, _) = self.reference(node)?;
        Ok((Ir::Has(reference), Kind::Bool))
    }

    fn reference(&self, node: &IdedExpr) -> Result<(Reference, Kind), Fault> {
        let mut path = Vec::new();
        let mut current = node;
        loop {
            match &current.expr {
                Tree::Select(select) if !select.test || path.is_empty() => {
                    path.push(select.field.as_str());
                    current = &select.operand;
                }
                Tree::Ident(name) => {
                    path.push(name.as_str());
                    break;
                }
                Tree::Call(_)
                | Tree::Select(_)
                | Tree::Comprehension(_)
                | Tree::List(_)
                | Tree::Literal(_)
                | Tree::Map(_)
                | Tree::Struct(_)
                | Tree::Unspecified => return Err(self.fault(node, "fields belong to names only")),
            }
        }
        path.reverse();
        let offset = self.offset(current);
        self.names.resolve(&path).map_err(|(message, hint)| Fault { offset, message, hint })
    }

    fn call(&self, node: &IdedExpr, call: &CallExpr) -> Built {
        if let Some(how) = calculation(&call.func_name) {
            return self.calculate(node, how, call);
        }
        if let Some(how) = comparison(&call.func_name) {
            return self.compare(node, how, call);
        }
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, None, [inner]) => Ok((Ir::Not(self.boxed(inner, Kind::Bool)?), Kind::Bool)),
            (operators::NEGATE, None, [inner]) => Ok((Ir::Negate(self.boxed(inner, Kind::Int)?), Kind::Int)),
            (operators::LOGICAL_AND, None, [first, rest @ ..]) => self.chain(first, rest, Ir::And),
            (operators::LOGICAL_OR, None, [first, rest @ ..]) => self.chain(first, rest, Ir::Or),
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                let condition = self.typed(condition, Kind::Bool)?;
                let (yes, kind) = self.node(yes)?;
                Ok((Ir::If(Box::new((condition, yes, self.typed(no, kind)?))), kind))
            }
            (operators::IN, None, [needle, list]) => self.is_in(needle, list),
            (name @ ("least" | "greatest"), None, list) => {
                if !(2..=MAX_OPERANDS).contains(&list.len()) {
                    return Err(self.fault(node, &format!("{name} takes 2 to {MAX_OPERANDS} numbers")));
                }
                let how = if name == "least" { Extreme::Least } else { Extreme::Greatest };
                let list =
                    list.iter().map(|element| self.typed(element, Kind::Int)).collect::<Result<Vec<Ir>, Fault>>()?;
                Ok((Ir::Extreme(how, list), Kind::Int))
            }
            ("size", Some(inner), []) | ("size", None, [inner]) => {
                Ok((Ir::Size(self.boxed(inner, Kind::Text)?), Kind::Int))
            }
            (name @ ("contains" | "startsWith" | "endsWith"), Some(haystack), [needle]) => {
                let how = match name {
                    "contains" => TextTest::Contains,
                    "startsWith" => TextTest::StartsWith,
                    _ => TextTest::EndsWith,
                };
                Ok((Ir::Look(how, self.boxed(haystack, Kind::Text)?, self.boxed(needle, Kind::Text)?), Kind::Bool))
            }
            (name, _, _) if FUNCTIONS.contains(&name) => {
                Err(self.fault(node, &format!("{name} is not called like this")))
            }
            (name, _, _) => Err(Fault {
                offset: self.offset(node),
                message: format!("there is no function {name:?}"),
                hint: suggest::hint(name, FUNCTIONS),
            }),
        }
    }

    fn calculate(&self, node: &IdedExpr, how: Calculation, call: &CallExpr) -> Built {
        let [left, right] = call.args.as_slice() else { return Err(self.fault(node, "two operands are wanted")) };
        let (left, kind) = self.node(left)?;
        match (how, kind) {
            (Calculation::Add, Kind::Text) => {
                Ok((Ir::Join(Box::new(left), self.boxed(right, Kind::Text)?), Kind::Text))
            }
            (_, Kind::Int) => Ok((Ir::Calculate(how, Box::new(left), self.boxed(right, Kind::Int)?), Kind::Int)),
            (_, Kind::Bool | Kind::Text) => Err(self.fault(node, &format!("{} cannot be calculated with", a(kind)))),
        }
    }

    fn compare(&self, node: &IdedExpr, how: Comparison, call: &CallExpr) -> Built {
        let [left, right] = call.args.as_slice() else { return Err(self.fault(node, "two operands are wanted")) };
        let (left_ir, kind) = self.node(left)?;
        let right_ir = self.typed(right, kind)?;
        if kind != Kind::Int && !matches!(how, Comparison::Equal | Comparison::Unequal) {
            return Err(self.fault(node, &format!("{} is equal or not; it is not larger or smaller", a(kind))));
        }
        self.case_exists(&left_ir, &right_ir, right)?;
        self.case_exists(&right_ir, &left_ir, left)?;
        Ok((Ir::Compare(how, Box::new(left_ir), Box::new(right_ir)), Kind::Bool))
    }

    fn is_in(&self, needle: &IdedExpr, list: &IdedExpr) -> Built {
        let (needle, kind) = self.node(needle)?;
        let Tree::List(elements) = &list.expr else {
            return Err(self.fault(list, "a list in square brackets is wanted on the right of `in`"));
        };
        if !(1..=MAX_OPERANDS).contains(&elements.elements.len()) {
            return Err(self.fault(list, &format!("a list of 1 to {MAX_OPERANDS} values is wanted")));
        }
        let mut built = Vec::new();
        for element in &elements.elements {
            let ir = self.typed(element, kind)?;
            self.case_exists(&needle, &ir, element)?;
            built.push(ir);
        }
        Ok((Ir::In(Box::new(needle), built), Kind::Bool))
    }

    /// `case == 'watchs'` would be false for ever, silently.
    fn case_exists(&self, left: &Ir, right: &Ir, place: &IdedExpr) -> Result<(), Fault> {
        let (Ir::Ref(Reference::Case), Ir::Const(Value::Text(id)), Some(cases)) = (left, right, &self.names.cases)
        else {
            return Ok(());
        };
        if cases.contains(&id.as_str()) {
            return Ok(());
        }
        let hint = suggest::hint(id, cases.iter().copied());
        Err(Fault { offset: self.offset(place), message: format!("there is no case {id:?}"), hint })
    }

    fn chain(&self, first: &IdedExpr, rest: &[IdedExpr], join: fn(Box<Ir>, Box<Ir>) -> Ir) -> Built {
        let mut all = self.typed(first, Kind::Bool)?;
        for next in rest {
            all = join(Box::new(all), self.boxed(next, Kind::Bool)?);
        }
        Ok((all, Kind::Bool))
    }

    fn boxed(&self, node: &IdedExpr, wanted: Kind) -> Result<Box<Ir>, Fault> {
        self.typed(node, wanted).map(Box::new)
    }

    fn typed(&self, node: &IdedExpr, wanted: Kind) -> Result<Ir, Fault> {
        let (ir, kind) = self.node(node)?;
        if kind == wanted {
            Ok(ir)
        } else {
            Err(self.fault(node, &format!("{} is wanted here, and this is {}", a(wanted), a(kind))))
        }
    }

    fn fault(&self, node: &IdedExpr, message: &str) -> Fault {
        Fault { offset: self.offset(node), message: message.to_owned(), hint: None }
    }

    /// Where the node's text begins; the parser keeps the place of the operator or dot for what has one.
    fn offset(&self, node: &IdedExpr) -> usize {
        let mut leftmost = node;
        loop {
            leftmost = match &leftmost.expr {
                Tree::Select(select) => &select.operand,
                Tree::Call(call) => match (call.target.as_deref(), call.args.first()) {
                    (Some(target), _) => target,
                    (None, Some(first)) if is_infix(&call.func_name) => first,
                    (None, _) => break,
                },
                Tree::Ident(_)
                | Tree::List(_)
                | Tree::Literal(_)
                | Tree::Map(_)
                | Tree::Struct(_)
                | Tree::Comprehension(_)
                | Tree::Unspecified => break,
            };
        }
        let known = self.places.offset_for(leftmost.id).or_else(|| self.places.offset_for(node.id));
        // The parser counts bytes, people count characters.
        let before = known.and_then(|(start, _)| usize::try_from(start).ok()).and_then(|start| self.text.get(..start));
        before.map_or(0, |before| before.chars().count())
    }
}

fn is_infix(name: &str) -> bool {
    calculation(name).is_some()
        || comparison(name).is_some()
        || [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::CONDITIONAL, operators::IN].contains(&name)
}

fn calculation(name: &str) -> Option<Calculation> {
    match name {
        operators::ADD => Some(Calculation::Add),
        operators::SUBSTRACT => Some(Calculation::Subtract),
        operators::MULTIPLY => Some(Calculation::Multiply),
        operators::DIVIDE => Some(Calculation::Divide),
        operators::MODULO => Some(Calculation::Remainder),
        _ => None,
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    match name {
        operators::EQUALS => Some(Comparison::Equal),
        operators::NOT_EQUALS => Some(Comparison::Unequal),
        operators::LESS => Some(Comparison::Less),
        operators::LESS_EQUALS => Some(Comparison::LessOrEqual),
        operators::GREATER => Some(Comparison::Greater),
        operators::GREATER_EQUALS => Some(Comparison::GreaterOrEqual),
        _ => None,
    }
}

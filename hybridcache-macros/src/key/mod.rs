//! The key of a call: templates, expressions and names become parts, which the expansion writes one after the other.

pub(crate) mod template;
pub(crate) mod tokens;

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, ExprPath, Ident, LitStr, Member, Result};

use self::template::{Piece, Placeholder};
use crate::errors::Errors;
use crate::input::argument::{Argument, Passing};
use crate::input::consumed::clone_consumed;
use crate::parse::suggest::did_you_mean;
use crate::span::{ends, hidden};

/// A part of a key or tag.
pub(crate) enum Part {
    /// Text of a template, or between values; escaped.
    Text(String),
    Value(Value),
}

/// A reference to a value, and the span of the token or type that a message about its type points to.
pub(crate) struct Value {
    pub(crate) reference: TokenStream,
    pub(crate) kind: ValueKind,
    pub(crate) blamed: Span,
    /// The `#[cfg(..)]`s of the argument: without the argument there is no value.
    pub(crate) cfgs: Vec<Attribute>,
}

pub(crate) enum ValueKind {
    /// A value that implements `Display`.
    Placeholder,
    CacheKey,
}

/// The arguments of a function, by the names that keys, tags and other options may use.
pub(crate) struct Names<'a> {
    function: &'a Ident,
    arguments: &'a [Argument],
}

impl<'a> Names<'a> {
    pub(crate) fn new(function: &'a Ident, arguments: &'a [Argument]) -> Self {
        Self { function, arguments }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'a Argument, &'a Ident)> {
        self.arguments.iter().flat_map(|argument| argument.names.iter().map(move |name| (argument, name)))
    }

    fn find(&self, name: &str) -> Option<(&'a Argument, &'a Ident)> {
        self.all().find(|(_, known)| known.unraw() == name)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<_> = self.all().map(|(_, known)| known.unraw().to_string()).collect();
        let suggestion = match &known[..] {
            [] => "; it has none".to_owned(),
            known => did_you_mean(name, known.iter().map(String::as_str)),
        };
        format!("`{}` has no argument `{name}`{suggestion}", self.function.unraw())
    }
}

/// The parts of a key from its template.
pub(crate) fn from_template(template: &LitStr, names: &Names<'_>) -> Result<Vec<Part>> {
    parts(template::separated(parsed(template)?), template, names)
}

/// The parts of a tag from its template.
pub(crate) fn from_tag(template: &LitStr, names: &Names<'_>) -> Result<Vec<Part>> {
    parts(parsed(template)?, template, names)
}

fn parsed(template: &LitStr) -> Result<Vec<Piece>> {
    template::parse(&template.value()).map_err(|mistake| Error::new(template.span(), mistake))
}

fn parts(pieces: Vec<Piece>, template: &LitStr, names: &Names<'_>) -> Result<Vec<Part>> {
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Ok(Part::Text(text)),
            Piece::Placeholder(placeholder) => from_placeholder(&placeholder, template.span(), names).map(Part::Value),
        })
        .collect()
}

/// The arguments that a template names. `None`: the template is invalid.
pub(crate) fn names_in_template(template: &LitStr) -> Option<Vec<String>> {
    let pieces = template::parse(&template.value()).ok()?;
    let names = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Placeholder(placeholder) => Some(placeholder.name),
    });
    Some(names.collect())
}

fn from_placeholder(placeholder: &Placeholder, location: Span, names: &Names<'_>) -> Result<Value> {
    let Some((argument, name)) = names.find(&placeholder.name) else {
        return Err(Error::new(location, names.unknown(&placeholder.name)));
    };
    if placeholder.fields.is_empty() {
        return Ok(whole_argument(argument, name, ValueKind::Placeholder));
    }
    let mut root = if *name == argument.outer { argument.outer.clone() } else { name.clone() };
    root.set_span(location.resolved_at(root.span()));
    let fields = placeholder.fields.iter().map(|field| member(field, location)).collect::<Result<Vec<_>>>()?;
    let span = hidden(location);
    Ok(Value {
        reference: quote_spanned!(span=> &#root #(.#fields)*),
        kind: ValueKind::Placeholder,
        blamed: location,
        cfgs: Vec::new(),
    })
}

/// A field's name from a string literal, as tokens.
fn member(field: &str, location: Span) -> Result<Member> {
    if let Ok(index) = field.parse() {
        return Ok(Member::Unnamed(syn::Index { index, span: location }));
    }
    let ident = syn::parse_str::<Ident>(field).or_else(|_| syn::parse_str(&format!("r#{field}")));
    let mut ident = ident.map_err(|_| Error::new(location, format!("`{field}` is not the name of a field")))?;
    ident.set_span(location);
    Ok(Member::Named(ident))
}

/// A whole argument. Messages point to its type.
fn whole_argument(argument: &Argument, name: &Ident, kind: ValueKind) -> Value {
    let (start, end) = ends(&argument.blamed);
    let mut located = if *name == argument.outer { argument.outer.clone() } else { name.clone() };
    located.set_span(end.resolved_at(located.span()));
    let span = hidden(start);
    // `&*argument`, so that a message is about `T` and not about `&T`.
    let reference = match argument.passing {
        Passing::Borrowed(_) if argument.names.len() == 1 && *name == argument.outer => {
            quote_spanned!(span=> &*#located)
        }
        _ => quote_spanned!(span=> &#located),
    };
    Value { reference, kind, blamed: start, cfgs: argument.cfgs().cloned().collect() }
}

/// The parts of a key from an expression. Each element of a tuple is a part, so that each is only borrowed and has its own messages.
pub(crate) fn from_expression(expression: &Expr, names: &Names<'_>, errors: &mut Errors) -> Vec<Part> {
    let arguments = names.all().map(|(_, name)| name.unraw().to_string()).collect();
    let mut parts = Vec::new();
    push_expression(expression, &arguments, &mut parts);
    // The compiler would report it twice, in the function and in the handle.
    for element in elements(expression) {
        if let Some(root) = root(element).filter(|root| !arguments.contains(&root.unraw().to_string())) {
            errors.push(Error::new(root.span(), names.unknown(&root.unraw().to_string())));
        }
    }
    parts
}

fn elements(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::Tuple(tuple) => tuple.elems.iter().flat_map(elements).collect(),
        other => vec![other],
    }
}

/// The `order` of `order`, `order.id`, `order.id()`. It must be an argument, since constants are written in capitals.
fn root(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(ExprPath { qself: None, path, .. }) => {
            path.get_ident().filter(|ident| ident.to_string().starts_with(char::is_lowercase))
        }
        Expr::Field(field) => root(&field.base),
        Expr::MethodCall(call) => root(&call.receiver),
        Expr::Reference(reference) => root(&reference.expr),
        Expr::Paren(inner) => root(&inner.expr),
        _ => None,
    }
}

fn push_expression(expression: &Expr, arguments: &HashSet<String>, parts: &mut Vec<Part>) {
    let Expr::Tuple(tuple) = expression else {
        let mut expression = expression.clone();
        clone_consumed(&mut expression, arguments);
        let (start, end) = ends(&expression);
        let (ampersand, parenthesized) = (hidden(start), hidden(end));
        let parenthesized = quote_spanned!(parenthesized=> (#expression));
        let reference = quote_spanned!(ampersand=> &#parenthesized);
        parts.push(Part::Value(Value { reference, kind: ValueKind::CacheKey, blamed: start, cfgs: Vec::new() }));
        return;
    };
    // The runtime writes a tuple in the same way.
    parts.push(Part::Text("(".to_owned()));
    for (nth, element) in tuple.elems.iter().enumerate() {
        if nth > 0 {
            parts.push(Part::Text(",".to_owned()));
        }
        push_expression(element, arguments, parts);
    }
    parts.push(Part::Text(")".to_owned()));
}

/// The parts of the default key: every name that the function's arguments bind, without those in `skip`.
pub(crate) fn from_arguments(skip: &[Ident], names: &Names<'_>, errors: &mut Errors) -> Vec<Part> {
    for skipped in skip {
        if names.find(&skipped.unraw().to_string()).is_none() {
            errors.push(Error::new(skipped.span(), names.unknown(&skipped.unraw().to_string())));
        }
    }
    let mut parts = Vec::new();
    for (argument, name) in names.all().filter(|(_, name)| !skip.iter().any(|skipped| skipped.unraw() == name.unraw()))
    {
        if argument.is_float() {
            errors.push(Error::new_spanned(
                &argument.blamed,
                format!(
                    "a float cannot be part of a key, because `0.1 + 0.2` and `0.3` would be two keys: write a \
                     `key = ..` that distinguishes the calls, such as a rounded integer or `{name}.to_bits()`, or \
                     leave it out with `skip({name})`"
                ),
            ));
        }
        if !parts.is_empty() {
            parts.push(Part::Text(",".to_owned()));
        }
        parts.push(Part::Value(whole_argument(argument, name, ValueKind::CacheKey)));
    }
    parts
}

//! Renames `self` in the body of a load, where it is a local variable. After async-trait's `receiver.rs`.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Item, Macro, Path, Stmt, Token};

use crate::input::argument::LOCAL_SELF;
use crate::input::types::spelled;
use crate::span::hidden;

/// Renames every `self` of the function itself to the local variable. `Self` has the same meaning in the load and stays.
pub(crate) fn rename_self(body: &mut Block) {
    RenameSelf.visit_block_mut(body);
}

struct RenameSelf;

impl VisitMut for RenameSelf {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        if let Expr::Macro(invocation) = expression
            && let Some(shown) = dbg_as_written(&invocation.mac)
        {
            *expression = shown;
        }
        visit_mut::visit_expr_mut(self, expression);
    }

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        if let Stmt::Macro(invocation) = stmt
            && let Some(shown) = dbg_as_written(&invocation.mac)
        {
            *stmt = Stmt::Expr(shown, invocation.semi_token);
        }
        visit_mut::visit_stmt_mut(self, stmt);
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        // `self`, but not `self::function`.
        if path.segments.len() == 1 {
            rename(&mut path.segments[0].ident);
        }
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_item_mut(&mut self, item: &mut Item) {
        // Other items have their own `self`. A local `macro_rules!` can name the function's, and `select! { .. }` is parsed as an
        // item although it is an expression.
        if let Item::Macro(item) = item
            && item.mac.path.segments.last().is_some_and(|last| last.ident == "macro_rules" || last.ident == "select")
        {
            self.visit_macro_mut(&mut item.mac);
        }
    }

    fn visit_macro_mut(&mut self, invocation: &mut Macro) {
        let Some(last) = invocation.path.segments.last() else { return };
        invocation.tokens = renamed_in(&last.ident, std::mem::take(&mut invocation.tokens));
    }
}

/// The tokens of the macro `name` with `self` renamed, where what it prints does not show that.
fn renamed_in(name: &Ident, tokens: TokenStream) -> TokenStream {
    match name.to_string().as_str() {
        // It evaluates nothing.
        "stringify" => tokens,
        "assert" | "debug_assert" => with_message(tokens, "assertion failed: {}"),
        "ensure" => with_message(tokens, "Condition failed: `{}`"),
        name if is_span_macro(name) => with_named_fields(tokens, true),
        name if is_event_macro(name) => with_named_fields(tokens, false),
        name => renamed(tokens, is_format_macro(name)),
    }
}

/// A condition that is not said in other words is shown as it was written.
fn with_message(condition: TokenStream, message: &str) -> TokenStream {
    let has_message = condition.clone().into_iter().any(|token| is_punct(&token, ','));
    let renamed = renamed(condition.clone(), true);
    if has_message || renamed.to_string() == condition.to_string() {
        return renamed;
    }
    let message = message.replace("{}", &spelled(&condition)).replace('{', "{{").replace('}', "}}");
    quote!(#renamed, #message)
}

/// `tracing`'s macros that open a span, in which fields may come after the name.
fn is_span_macro(name: &str) -> bool {
    matches!(name, "span" | "trace_span" | "debug_span" | "info_span" | "warn_span" | "error_span")
}

/// `tracing`'s macros that log an event, in which fields come before the message. `log`'s macros have the same names and a
/// message first.
fn is_event_macro(name: &str) -> bool {
    matches!(name, "event" | "trace" | "debug" | "info" | "warn" | "error")
}

// Input:
//     self.id, ?self.name, count = self.count, "loaded {}", self.id
//
// Output:
//     self.id = __hc_self.id, self.name = ?__hc_self.name, count = __hc_self.count, "loaded {}", __hc_self.id
//
/// The shorthand for a field shows the name as it was written.
fn with_named_fields(tokens: TokenStream, after_literals: bool) -> TokenStream {
    let mut output = TokenStream::new();
    let mut may_be_fields = true;
    let tokens: Vec<_> = tokens.into_iter().collect();
    for element in tokens.split_inclusive(|token| is_punct(token, ',')) {
        may_be_fields &= after_literals || !matches!(element.first(), Some(TokenTree::Literal(_)));
        let (field, comma) = match element {
            [field @ .., comma] if is_punct(comma, ',') => (field, Some(comma)),
            field => (field, None),
        };
        let sigil = field.first().filter(|token| is_punct(token, '?') || is_punct(token, '%'));
        let path = if sigil.is_some() { &field[1..] } else { field };
        if may_be_fields && is_path_of_self(path) {
            output.extend(path.iter().cloned());
            output.extend(quote!(= #sigil));
            output.extend(renamed(path.iter().cloned().collect(), false));
        } else {
            output.extend(renamed(field.iter().cloned().collect(), true));
        }
        output.extend(comma.cloned());
    }
    output
}

/// `self`, `self.field`, `self.field.of_it`
fn is_path_of_self(tokens: &[TokenTree]) -> bool {
    let mut tokens = tokens.iter();
    let is_self = matches!(tokens.next(), Some(TokenTree::Ident(first)) if first == "self");
    is_self
        && tokens.as_slice().chunks(2).all(|member| matches!(member, [dot, TokenTree::Ident(_)] if is_punct(dot, '.')))
}

// Input:
//     dbg!(self.id)
//
// Output:
//     match self.id {
//         __value => {
//             ::std::eprintln!("[{}:{}:{}] {} = {:#?}", file!(), line!(), column!(), "self.id", &__value);
//             __value
//         }
//     }
//
/// The code that `dbg!` expands to, with the user's own text of the expression. `None`: the text does not contain `self`.
fn dbg_as_written(invocation: &Macro) -> Option<Expr> {
    let name = &invocation.path.segments.last().filter(|last| last.ident == "dbg")?.ident;
    let renames = renamed(invocation.tokens.clone(), true).to_string() != invocation.tokens.to_string();
    let values =
        invocation.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated).ok().filter(|_| renames)?;
    // The place that is printed is that of the call.
    let (at, user) = (hidden(name.span()), name.span());
    let shown = values.iter().map(|value| {
        let text = spelled(value);
        let place = quote_spanned!(user=> ::core::file!(), ::core::line!(), ::core::column!());
        quote_spanned!(at=> match #value {
            __value => {
                ::std::eprintln!("[{}:{}:{}] {} = {:#?}", #place, #text, &__value);
                __value
            }
        })
    });
    let shown: Vec<_> = shown.collect();
    let shown = if let [only] = &shown[..] { only.clone() } else { quote_spanned!(at=> (#(#shown),*)) };
    syn::parse2(shown).ok()
}

fn rename(ident: &mut Ident) {
    if ident == "self" {
        *ident = Ident::new(LOCAL_SELF, ident.span());
    }
}

/// The tokens of a macro with `self` renamed, also in string literals if the macro formats.
///
/// A macro may use its tokens in any way; `self` within `fn name(..) { .. }` is taken for that function's.
fn renamed(tokens: TokenStream, formats: bool) -> TokenStream {
    let mut called = None;
    let mut within_fn = false;
    let mut tokens = tokens.into_iter().peekable();
    let mut output = TokenStream::new();
    while let Some(token) = tokens.next() {
        // `name ! (..)` inside another macro.
        let macro_name = called.take();
        // `fn(u8) -> u8` is a type.
        within_fn |= is_fn(&token) && matches!(tokens.peek(), Some(TokenTree::Ident(_)));
        if within_fn {
            within_fn = !ends_fn(&token);
            output.extend([token]);
            continue;
        }
        output.extend([match token {
            TokenTree::Ident(mut ident) => {
                rename(&mut ident);
                called = Some(ident.clone());
                TokenTree::Ident(ident)
            }
            TokenTree::Punct(punct) => {
                called = macro_name.filter(|_| punct.as_char() == '!');
                TokenTree::Punct(punct)
            }
            TokenTree::Group(group) => {
                let inside = match &macro_name {
                    Some(name) => renamed_in(name, group.stream()),
                    None => renamed(group.stream(), formats),
                };
                let mut renamed = Group::new(group.delimiter(), inside);
                renamed.set_span(group.span());
                TokenTree::Group(renamed)
            }
            TokenTree::Literal(literal) if formats => TokenTree::Literal(with_renamed_captures(literal)),
            token @ TokenTree::Literal(_) => token,
        }]);
    }
    output
}

fn is_fn(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == "fn")
}

/// The body of a function, or the semicolon of a declaration.
fn ends_fn(token: &TokenTree) -> bool {
    is_punct(token, ';') || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == expected)
}

/// Whether `"{self}"` in the macro captures `self`. In other macros the same characters are text.
fn is_format_macro(name: &str) -> bool {
    let known = [
        "format",
        "format_args",
        "print",
        "println",
        "eprint",
        "eprintln",
        "write",
        "writeln",
        "panic",
        "todo",
        "unimplemented",
        "unreachable",
        "trace",
        "debug",
        "info",
        "warn",
        "error",
        "event",
        "span",
        "log",
        "anyhow",
        "bail",
        "ensure",
    ];
    known.contains(&name) || name.starts_with("assert") || name.starts_with("debug_assert")
}

fn with_renamed_captures(literal: Literal) -> Literal {
    let source = literal.to_string();
    let mut renamed = String::new();
    let mut rest = source.as_str();
    while let Some(at) = rest.find("{self") {
        let (before, after) = (&rest[..at], &rest[at + "{self".len()..]);
        // `{{` is an escaped brace.
        let is_escaped = before.bytes().rev().take_while(|byte| *byte == b'{').count() % 2 == 1;
        let is_capture = !is_escaped && after.starts_with(['}', ':']);
        renamed.push_str(before);
        renamed.push('{');
        renamed.push_str(if is_capture { LOCAL_SELF } else { "self" });
        rest = after;
    }
    renamed.push_str(rest);
    let Ok(mut replacement) = renamed.parse::<Literal>() else { return literal };
    replacement.set_span(literal.span());
    replacement
}

#[cfg(test)]
mod tests;

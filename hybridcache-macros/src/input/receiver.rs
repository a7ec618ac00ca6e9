//! `self` in the body of a load, which has it under another name. After async-trait's `receiver.rs`.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Item, Macro, Path};

use crate::input::argument::{LOCAL_SELF, spelled};

/// Makes every `self` of the function itself the local one. `Self` means the same there and stays.
pub(crate) fn rename_self(body: &mut Block) {
    RenameSelf.visit_block_mut(body);
}

struct RenameSelf;

impl VisitMut for RenameSelf {
    fn visit_path_mut(&mut self, path: &mut Path) {
        // `self`, but not `self::function`.
        if path.segments.len() == 1 {
            rename(&mut path.segments[0].ident);
        }
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_item_mut(&mut self, item: &mut Item) {
        // Other items have a `self` of their own. A local `macro_rules!` can name the function's, and `select! { .. }`
        // looks like an item while it is an expression.
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
        _ => renamed(tokens, is_format_macro(name)),
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

fn rename(ident: &mut Ident) {
    if ident == "self" {
        *ident = Ident::new(LOCAL_SELF, ident.span());
    }
}

/// The tokens of a macro with `self` renamed; its string literals too if it is one that formats.
///
/// Whose `self` stands in a macro cannot be known, but that within `fn name(..) { .. }` is that function's.
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
                    Some(name) if !formats => renamed_in(name, group.stream()),
                    _ => renamed(group.stream(), formats),
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

/// Its body, or the semicolon in place of one.
fn ends_fn(token: &TokenTree) -> bool {
    is_punct(token, ';') || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == expected)
}

/// `"{self}"`. In a macro that does not format, the same characters are just text.
fn is_format_macro(name: &Ident) -> bool {
    let name = name.to_string();
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
    known.contains(&name.as_str()) || name.starts_with("assert") || name.starts_with("debug_assert")
}

fn with_renamed_captures(literal: Literal) -> Literal {
    let source = literal.to_string();
    let mut renamed = String::new();
    let mut rest = source.as_str();
    while let Some(at) = rest.find("{self") {
        let (before, after) = (&rest[..at], &rest[at + "{self".len()..]);
        // `{{` is a brace.
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
mod tests {
    use quote::{ToTokens, quote};

    use super::*;

    fn renamed(tokens: TokenStream) -> String {
        let mut block: Block = syn::parse2(tokens).expect("a block");
        rename_self(&mut block);
        block.to_token_stream().to_string()
    }

    #[test]
    fn self_is_renamed_in_expressions_and_macros() {
        assert_eq!(renamed(quote!({ self.db.get(&self.id) })), "{ __hc_self . db . get (& __hc_self . id) }");
        assert_eq!(renamed(quote!({ f!(self, (self)) })), "{ f ! (__hc_self , (__hc_self)) }");
        assert_eq!(renamed(quote!({ async { self } })), "{ async { __hc_self } }");
    }

    #[test]
    fn what_is_not_the_functions_self_stays() {
        for tokens in [
            quote!({ Self::new() }),
            quote!({ self::helper() }),
            quote!({
                impl A {
                    fn b(&self) {
                        self.c()
                    }
                }
            }),
            quote!({
                item! {
                    fn b(&self) {
                        self.c()
                    }
                }
            }),
            quote!({ stringify!(self.c) }),
        ] {
            assert_eq!(renamed(tokens.clone()), tokens.to_string());
        }
    }

    /// Killed by: no renaming in a macro that has a `fn` anywhere.
    #[test]
    fn a_macro_can_have_the_functions_self_beside_another_function() {
        assert_eq!(
            renamed(quote!({ vec![(f as fn(u64) -> u64)(self.base)] })),
            "{ vec ! [(f as fn (u64) -> u64) (__hc_self . base)] }"
        );
        assert_eq!(
            renamed(quote!({
                with! { fn b(&self) -> u8 { self.c } self.d }
            })),
            "{ with ! { fn b (& self) -> u8 { self . c } __hc_self . d } }"
        );
    }

    /// Killed by: the renamed condition in the text.
    #[test]
    fn a_failed_assertion_shows_what_was_written() {
        assert_eq!(
            renamed(quote!({ assert!(self.ready) })),
            r#"{ assert ! (__hc_self . ready , "assertion failed: self.ready") }"#
        );
        assert_eq!(
            renamed(quote!({
                select! { _ = f() => { assert!(self.ready(S { a })) } }
            })),
            r#"{ select ! { _ = f () => { assert ! (__hc_self . ready (S { a }) , "assertion failed: self.ready(S {{ a }})") } } }"#
        );
        assert_eq!(renamed(quote!({ assert!(ready) })), "{ assert ! (ready) }");
        assert_eq!(renamed(quote!({ assert!(self.a, "{self}") })), r#"{ assert ! (__hc_self . a , "{__hc_self}") }"#);
    }

    #[test]
    fn format_strings_capture_the_local_one() {
        assert_eq!(
            renamed(quote!({ format!("{self} {{self}} {self:?} {id}") })),
            r#"{ format ! ("{__hc_self} {{self}} {__hc_self:?} {id}") }"#
        );
        assert_eq!(renamed(quote!({ vec![format!("{self}")] })), r#"{ vec ! [format ! ("{__hc_self}")] }"#);
        assert_eq!(renamed(quote!({ json!("{self}") })), r#"{ json ! ("{self}") }"#);
    }
}

//! `self` in the body of a load, which has it under another name. After async-trait's `receiver.rs`.

use proc_macro2::{Group, Ident, Literal, TokenStream, TokenTree};
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Item, Macro, Path};

use crate::argument::LOCAL_SELF;

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
        // Whose `self` stands in a macro cannot be known. Next to a `fn` it is more likely that function's.
        if !contains_fn(invocation.tokens.clone()) {
            let formats = invocation.path.segments.last().is_some_and(|last| is_format_macro(&last.ident));
            invocation.tokens = renamed(std::mem::take(&mut invocation.tokens), formats);
        }
    }
}

fn rename(ident: &mut Ident) {
    if ident == "self" {
        *ident = Ident::new(LOCAL_SELF, ident.span());
    }
}

fn contains_fn(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "fn",
        TokenTree::Group(group) => contains_fn(group.stream()),
        _ => false,
    })
}

/// The tokens of a macro with `self` renamed; its string literals too if it is one that formats.
fn renamed(tokens: TokenStream, formats: bool) -> TokenStream {
    let mut called = None;
    let tokens = tokens.into_iter().map(|token| {
        // `name ! (..)` inside another macro.
        let macro_name = called.take();
        match token {
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
                let formats = formats || macro_name.is_some_and(|name| is_format_macro(&name));
                let mut renamed = Group::new(group.delimiter(), renamed(group.stream(), formats));
                renamed.set_span(group.span());
                TokenTree::Group(renamed)
            }
            TokenTree::Literal(literal) if formats => TokenTree::Literal(with_renamed_captures(literal)),
            token @ TokenTree::Literal(_) => token,
        }
    });
    tokens.collect()
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
        ] {
            assert_eq!(renamed(tokens.clone()), tokens.to_string());
        }
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

//! A key expression must not consume the arguments: a load that follows needs them.

use std::collections::HashSet;

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Expr, ExprPath, FieldValue, parse_quote_spanned};

use crate::span::hidden;

/// Clones the arguments that the expression takes by value, as in `Some(id)` or `id.into_bytes()`. The value of the whole expression
/// is only borrowed.
///
/// Types are not known here. The clone of a `Copy` type costs nothing.
pub(crate) fn clone_consumed(expression: &mut Expr, arguments: &HashSet<String>) {
    Consumed { arguments }.borrowed(expression);
}

struct Consumed<'a> {
    arguments: &'a HashSet<String>,
}

impl Consumed<'_> {
    /// An operand that is used by reference.
    fn borrowed(&mut self, operand: &mut Expr) {
        if !self.is_place(operand) {
            self.visit_expr_mut(operand);
        }
    }

    /// An argument, or a field of one.
    fn is_place(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Path(ExprPath { qself: None, path, .. }) => {
                path.get_ident().is_some_and(|ident| self.arguments.contains(&ident.unraw().to_string()))
            }
            Expr::Field(field) => self.is_place(&field.base),
            Expr::Paren(inner) => self.is_place(&inner.expr),
            Expr::Group(inner) => self.is_place(&inner.expr),
            _ => false,
        }
    }
}

impl VisitMut for Consumed<'_> {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        if self.is_place(expression) {
            let span = hidden(expression.span());
            *expression = parse_quote_spanned!(span=> ::core::clone::Clone::clone(&#expression));
            return;
        }
        match expression {
            Expr::Reference(reference) => self.borrowed(&mut reference.expr),
            Expr::Field(field) => self.borrowed(&mut field.base),
            Expr::Unary(unary) => self.borrowed(&mut unary.expr),
            Expr::Cast(cast) => self.borrowed(&mut cast.expr),
            Expr::Let(condition) => self.borrowed(&mut condition.expr),
            Expr::Paren(inner) => self.borrowed(&mut inner.expr),
            Expr::Index(index) => {
                self.borrowed(&mut index.expr);
                self.visit_expr_mut(&mut index.index);
            }
            Expr::Match(choice) => {
                self.borrowed(&mut choice.expr);
                choice.arms.iter_mut().for_each(|arm| self.visit_arm_mut(arm));
            }
            Expr::Binary(binary) if is_comparison(binary.op) => {
                self.borrowed(&mut binary.left);
                self.borrowed(&mut binary.right);
            }
            Expr::MethodCall(call) => {
                if consumes(&call.method.to_string()) {
                    self.visit_expr_mut(&mut call.receiver);
                } else {
                    self.borrowed(&mut call.receiver);
                }
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            Expr::Call(call) => {
                self.borrowed(&mut call.func);
                call.args.iter_mut().for_each(|argument| self.visit_expr_mut(argument));
            }
            _ => visit_mut::visit_expr_mut(self, expression),
        }
    }

    fn visit_field_value_mut(&mut self, field: &mut FieldValue) {
        // `Key { id }` becomes `Key { id: .. }`.
        field.colon_token.get_or_insert_with(Default::default);
        self.visit_expr_mut(&mut field.expr);
    }
}

fn is_comparison(op: BinOp) -> bool {
    matches!(op, BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_))
}

/// Whether a method takes `self` by value, by the naming conventions of the standard library.
fn consumes(method: &str) -> bool {
    ["into", "unwrap", "expect", "map", "and_then", "or_else", "ok_or", "filter"]
        .iter()
        .any(|prefix| method.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

    use super::*;

    fn cloned(tokens: proc_macro2::TokenStream) -> String {
        let mut expression: Expr = syn::parse2(tokens).expect("an expression");
        clone_consumed(&mut expression, &HashSet::from(["id".to_owned(), "order".to_owned()]));
        expression.to_token_stream().to_string().replace(":: core :: clone :: Clone :: clone", "clone")
    }

    #[test]
    fn what_is_borrowed_is_not_cloned() {
        for tokens in [
            quote!(id),
            quote!((id)),
            quote!(order.user.id),
            quote!(id.to_string()),
            quote!(&id),
            quote!(id == other),
            quote!(id as u64),
            quote!(order.lines[0]),
            quote!(format!("{}", id)),
            quote!(other(1)),
            quote!(match id {
                _ => 1,
            }),
        ] {
            assert_eq!(cloned(tokens.clone()), tokens.to_string());
        }
    }

    #[test]
    fn what_is_consumed_is_cloned() {
        assert_eq!(cloned(quote!(Some(id))), "Some (clone (& id))");
        assert_eq!(cloned(quote!(id.into_bytes())), "clone (& id) . into_bytes ()");
        assert_eq!(cloned(quote!(order.name.into_bytes())), "clone (& order . name) . into_bytes ()");
        assert_eq!(cloned(quote!(hash(order.user, id.len()))), "hash (clone (& order . user) , id . len ())");
        assert_eq!(cloned(quote!(Key { id })), "Key { id : clone (& id) }");
        assert_eq!(cloned(quote!({ id })), "{ clone (& id) }");
        assert_eq!(cloned(quote!(id + other)), "clone (& id) + other");
    }
}

//! A target: a cached function with the arguments of its entry handle.

use quote::format_ident;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprCall, ExprField, ExprLit, ExprMethodCall, Ident, Lit, Member, Result};

pub(crate) struct Target {
    /// `users::user_entry(order.user_id)`
    pub(crate) handle: Expr,
}

impl Target {
    /// From `users::user(order.user_id)`.
    pub(crate) fn parse(input: ParseStream) -> Result<Self> {
        let mut handle: Expr = input
            .parse()
            .map_err(|error| Error::new(error.span(), format!("expected a call of a cached function, {EXAMPLE}")))?;
        make_handle(&mut handle)?;
        Ok(Self { handle })
    }
}

const EXAMPLE: &str = "as in `user(order.user_id)`";

fn make_handle(target: &mut Expr) -> Result<()> {
    match target {
        Expr::Group(inner) => return make_handle(&mut inner.expr),
        Expr::MethodCall(ExprMethodCall { receiver, method, .. }) => {
            if matches!(method.to_string().as_str(), "invalidate" | "expire") && is_call(receiver) {
                return Err(Error::new(
                    method.span(),
                    format!("the attribute invalidates by itself: leave `.{method}()` out, {EXAMPLE}"),
                ));
            }
            *method = handle_of(method);
            return Ok(());
        }
        Expr::Call(ExprCall { func, .. }) => {
            if let Expr::Path(path) = &mut **func
                && let Some(last) = path.path.segments.last_mut()
            {
                last.ident = handle_of(&last.ident);
                return Ok(());
            }
        }
        _ => {}
    }
    Err(no_call(target))
}

/// The name that `#[hybrid_cached]` gives the handle of a function. A target may name the handle itself: users call it in other
/// places, and the compiler suggests it for a misspelled name.
fn handle_of(function: &Ident) -> Ident {
    if function.to_string().ends_with("_entry") {
        return function.clone();
    }
    format_ident!("{}_entry", function.unraw(), span = function.span())
}

fn is_call(expression: &Expr) -> bool {
    matches!(expression, Expr::Call(_) | Expr::MethodCall(_))
}

fn no_call(target: &Expr) -> Error {
    let not_called = |name: &Ident| {
        Error::new(
            name.span(),
            format!("`{name}` is not called: write `{name}(..)`, with the arguments of its entry handle"),
        )
    };
    match target {
        Expr::Path(path) => match path.path.segments.last() {
            Some(last) => not_called(&last.ident),
            None => expected(target),
        },
        Expr::Field(ExprField { member: Member::Named(name), .. }) => not_called(name),
        Expr::Await(awaited) => Error::new(
            awaited.await_token.span(),
            format!("the attribute awaits by itself: leave `.await` out, {EXAMPLE}"),
        ),
        Expr::Lit(ExprLit { lit: Lit::Str(tag), .. }) => {
            Error::new(tag.span(), format!("tags are a list: write `tags = [{:?}]`", tag.value()))
        }
        other => expected(other),
    }
}

fn expected(target: &Expr) -> Error {
    Error::new_spanned(target, format!("expected a call of a cached function, {EXAMPLE}"))
}

//! `Err(NoCache(value))` in the control flow of the function itself.
//!
//! Where the function returns it, it becomes a call that marks the running load as not stored and returns `Ok(value)`, for any
//! error type. In other places it would be an ordinary error, so it is a compile error.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Error, Expr, ExprAsync, ExprBreak, ExprCall, ExprClosure, ExprPath, ExprReturn, Item, ItemFn, Label,
    Lifetime, Local, Macro, Pat, PathArguments, Result, ReturnType, Stmt, Type,
};

use crate::input::free_names::find_call;
use crate::input::wrap_body::EVICTING;
use crate::span::{Facade, hidden};

const NAME: &str = "NoCache";

/// Rewrites each `Err(NoCache(..))` that the function returns. Another use of the name is a mistake, unless the function declares it
/// as its error type.
pub(crate) fn rewrite(body: &mut Block, declared: &Type, facade: &Facade) -> Result<()> {
    let mut returned = Returned { facade };
    in_users_block(body, |block| {
        returned.visit_block_mut(block);
        returned.block_value(block);
    });
    match leftover(body) {
        Some(ident) if !spells(declared.to_token_stream(), NAME) => Err(refused(&ident, body)),
        _ => Ok(()),
    }
}

/// For a function with another mistake, which is reported: rewrites every `Err(NoCache(..))`, so that it causes no second message.
pub(crate) fn rewrite_everywhere(function: &mut ItemFn) {
    struct Everywhere(Type);
    impl VisitMut for Everywhere {
        fn visit_expr_mut(&mut self, expression: &mut Expr) {
            visit_mut::visit_expr_mut(self, expression);
            let Some((error, constructor, value)) = error_with_no_cache(expression) else { return };
            let (at, declared, constructor) = (hidden(error.span()), &self.0, without_arguments(constructor));
            // An `Ok` of the declared type, of which only the name is known here.
            *expression = Expr::Verbatim(quote_spanned!(at=> match ::core::option::Option::None::<#declared> {
                ::core::option::Option::Some(::core::result::Result::Err(__error)) => {
                    ::core::result::Result::Err(__error)
                }
                _ => {
                    let _ = #constructor(());
                    ::core::result::Result::Ok(#value)
                }
            }));
        }
    }
    if let ReturnType::Type(_, declared) = &function.sig.output {
        Everywhere((**declared).clone()).visit_block_mut(&mut function.block);
    }
}

fn refused(ident: &Ident, body: &Block) -> Error {
    let order = if spells(body.to_token_stream(), "__tracing_attr_span") {
        "; with `#[instrument]`, put `#[hybrid_cached]` above it"
    } else {
        ""
    };
    Error::new(
        ident.span(),
        format!(
            "the macro cannot see that the function returns this: write `return Err(NoCache(..))` in the function \
             itself (without `?`, not in a closure, an `async` block, a macro or a `let`), or return the plain value \
             after `hybridcache::no_cache()`{order}"
        ),
    )
}

/// Visits the values that the function returns: those of `return`, and that of its block.
struct Returned<'a> {
    facade: &'a Facade,
}

impl Returned<'_> {
    fn block_value(&mut self, block: &mut Block) {
        let [before @ .., Stmt::Expr(last, None)] = &mut block.stmts[..] else { return };
        // `let result = ..; result`, as `#[async_trait]` writes it too.
        if let (Expr::Path(path), Some(Stmt::Local(local))) = (&*last, before.last_mut())
            && let Some(init) = &mut local.init
            && path.path.get_ident().is_some_and(|result| binds(&local.pat, result))
        {
            self.value(&mut init.expr);
        } else {
            self.value(last);
        }
    }

    /// Follows an expression to the expressions that give its value.
    fn value(&mut self, expression: &mut Expr) {
        if self.replace(expression) {
            return;
        }
        match expression {
            Expr::Paren(inner) => self.value(&mut inner.expr),
            Expr::Group(inner) => self.value(&mut inner.expr),
            Expr::Unsafe(inner) => self.block_value(&mut inner.block),
            Expr::Block(inner) => {
                if let Some(label) = &inner.label {
                    Breaks { returned: self, label: Some(&label.name), unlabelled: false }
                        .visit_block_mut(&mut inner.block);
                }
                self.block_value(&mut inner.block);
            }
            Expr::Loop(inner) => {
                let label = inner.label.as_ref().map(|Label { name, .. }| name);
                Breaks { returned: self, label, unlabelled: true }.visit_block_mut(&mut inner.body);
            }
            Expr::If(choice) => {
                self.block_value(&mut choice.then_branch);
                if let Some((_, other)) = &mut choice.else_branch {
                    self.value(other);
                }
            }
            Expr::Match(choice) => choice.arms.iter_mut().for_each(|arm| self.value(&mut arm.body)),
            _ => {}
        }
    }

    // Input:
    //     Err(NoCache(user))
    //
    // Output:
    //     ::hybridcache::__private::not_stored({
    //         let _: ::hybridcache::NoCache<()> = NoCache(());    // uses the import, and checks that it is this crate's
    //         user
    //     })
    fn replace(&mut self, expression: &mut Expr) -> bool {
        let Some((error, constructor, value)) = error_with_no_cache(expression) else { return false };
        let (at_error, at_name) = (hidden(error.span()), hidden(constructor.span()));
        let (facade, private) = (self.facade.at(constructor.span()), self.facade.private_at(error.span()));
        let constructor = without_arguments(constructor);
        let import = quote_spanned!(at_name=> let _: #facade::NoCache<()> = #constructor(()););
        *expression = Expr::Verbatim(quote_spanned!(at_error=> #private::not_stored({ #import #value })));
        true
    }
}

impl VisitMut for Returned<'_> {
    fn visit_expr_return_mut(&mut self, found: &mut ExprReturn) {
        visit_mut::visit_expr_return_mut(self, found);
        if let Some(value) = &mut found.expr {
            self.value(value);
        }
    }

    // A `return` in these returns from them, not from the function.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Visits the values with which `break` leaves a block or loop.
struct Breaks<'a, 'b> {
    returned: &'a mut Returned<'b>,
    label: Option<&'a Lifetime>,
    unlabelled: bool,
}

impl VisitMut for Breaks<'_, '_> {
    fn visit_expr_break_mut(&mut self, found: &mut ExprBreak) {
        visit_mut::visit_expr_break_mut(self, found);
        let is_ours = found.label.as_ref().map_or(self.unlabelled, |label| Some(label) == self.label);
        if let (true, Some(value)) = (is_ours, &mut found.expr) {
            self.returned.value(value);
        }
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        match expression {
            Expr::Loop(_) | Expr::While(_) | Expr::ForLoop(_) => {
                let unlabelled = std::mem::replace(&mut self.unlabelled, false);
                visit_mut::visit_expr_mut(self, expression);
                self.unlabelled = unlabelled;
            }
            _ => visit_mut::visit_expr_mut(self, expression),
        }
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// The constructor without its type arguments, for another type of value.
fn without_arguments(constructor: &ExprPath) -> ExprPath {
    let mut constructor = constructor.clone();
    if let Some(last) = constructor.path.segments.last_mut() {
        last.arguments = PathArguments::None;
    }
    constructor
}

/// The parts of `Err(NoCache(value))`; both may be written as longer paths.
fn error_with_no_cache(expression: &Expr) -> Option<(&ExprPath, &ExprPath, &Expr)> {
    let (error, argument) = call_of(expression, "Err")?;
    let (constructor, value) = call_of(argument, NAME)?;
    Some((error, constructor, value))
}

fn call_of<'a>(expression: &'a Expr, name: &str) -> Option<(&'a ExprPath, &'a Expr)> {
    match expression {
        Expr::Paren(inner) => call_of(&inner.expr, name),
        Expr::Group(inner) => call_of(&inner.expr, name),
        Expr::Call(ExprCall { func, args, .. }) if args.len() == 1 => match &**func {
            Expr::Path(path) if path.path.segments.last()?.ident == name => Some((path, &args[0])),
            _ => None,
        },
        _ => None,
    }
}

fn binds(pattern: &Pat, name: &Ident) -> bool {
    match pattern {
        Pat::Ident(binding) => binding.ident == *name && binding.subpat.is_none(),
        Pat::Type(typed) => binds(&typed.pat, name),
        _ => false,
    }
}

/// An attribute above this one, `#[instrument]` or `#[hybrid_evict]`, has wrapped the body in a future.
fn in_users_block(body: &mut Block, rewrite: impl FnOnce(&mut Block)) {
    let future = body.stmts.iter_mut().find_map(|stmt| match stmt {
        Stmt::Local(Local { pat: Pat::Ident(name), init: Some(init), .. }) => match &mut *init.expr {
            Expr::Async(future) if name.ident == "__tracing_instrument_future" => Some(&mut future.block),
            Expr::Await(awaited) if name.ident == EVICTING => match &mut *awaited.base {
                Expr::Async(future) => Some(&mut future.block),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    match future {
        Some(future) => in_awaited_block(future, rewrite),
        None => rewrite(body),
    }
}

/// With `#[instrument(err)]` or `ret`, that future awaits another one that has the body.
fn in_awaited_block(block: &mut Block, rewrite: impl FnOnce(&mut Block)) {
    let awaited = match block.stmts.first_mut() {
        Some(Stmt::Local(Local { init: Some(init), .. })) => Some(&mut *init.expr),
        Some(Stmt::Expr(Expr::Match(choice), _)) => Some(&mut *choice.expr),
        _ => None,
    };
    if let Some(Expr::Await(awaited)) = awaited
        && let Expr::Async(future) = &mut *awaited.base
    {
        return rewrite(&mut future.block);
    }
    rewrite(block);
}

/// The first `NoCache` that was not rewritten. Types and patterns may name it, and items in the body are not this function.
fn leftover(body: &Block) -> Option<Ident> {
    struct Leftover(Option<Ident>);
    impl<'ast> Visit<'ast> for Leftover {
        fn visit_expr_path(&mut self, path: &'ast ExprPath) {
            if let Some(last) = path.path.segments.last()
                && last.ident == NAME
            {
                self.0.get_or_insert_with(|| last.ident.clone());
            }
            visit::visit_expr_path(self, path);
        }

        fn visit_macro(&mut self, invocation: &'ast Macro) {
            self.0 = self.0.take().or_else(|| find_call(invocation.tokens.clone(), NAME));
        }

        fn visit_item(&mut self, item: &'ast Item) {
            if let Item::Macro(item) = item {
                self.visit_macro(&item.mac);
            }
        }
    }
    let mut leftover = Leftover(None);
    leftover.visit_block(body);
    leftover.0
}

fn spells(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => spells(group.stream(), name),
        _ => false,
    })
}

#[cfg(test)]
mod tests;

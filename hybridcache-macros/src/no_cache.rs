//! `Err(NoCache(value))` in the control flow of the function itself.
//!
//! Where the function returns it, it becomes a call that marks the running load and gives `Ok(value)`, whatever the error type
//! is. Anywhere else it would be an error like any other, so it is refused.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Error, Expr, ExprAsync, ExprBreak, ExprCall, ExprClosure, ExprPath, ExprReturn, Item, Label, Lifetime, Local, Macro,
    Pat, PathArguments, Result, Stmt, Type,
};

use crate::mentions::find_call;
use crate::site::{Facade, hidden};

const NAME: &str = "NoCache";

/// Rewrites what the function returns. A [`NAME`] that stays is a mistake, unless the function declares it as its error.
pub(crate) fn rewrite(body: &mut Block, declared: &Type, facade: &Facade) -> Result<()> {
    let mut returned = Returned { facade };
    in_users_block(body, |block| {
        returned.visit_block_mut(block);
        returned.block_value(block);
    });
    let leftover = if spells_it(declared.to_token_stream()) { None } else { leftover(body) };
    leftover.map_or(Ok(()), |ident| Err(refused(&ident, body)))
}

/// Rewrites wherever it stands, so that a function with another mistake has no second message for this.
pub(crate) fn rewrite_everywhere(body: &mut Block, facade: &Facade) {
    struct Everywhere<'a>(Returned<'a>);
    impl VisitMut for Everywhere<'_> {
        fn visit_expr_mut(&mut self, expression: &mut Expr) {
            visit_mut::visit_expr_mut(self, expression);
            self.0.replace(expression);
        }
    }
    Everywhere(Returned { facade }).visit_block_mut(body);
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
            "the macro cannot see that the function returns this: write `return Err(NoCache(..))` in the function itself (not in a \
             closure, an `async` block, a macro or a `let`), or return the plain value after `hybridcache::no_cache()`{order}"
        ),
    )
}

/// Finds what the function returns: `return` anywhere, and the value of its block.
struct Returned<'a> {
    facade: &'a Facade,
}

impl Returned<'_> {
    fn block_value(&mut self, block: &mut Block) {
        let [before @ .., Stmt::Expr(last, None)] = &mut block.stmts[..] else { return };
        // `let result = ..; result`, as `#[async_trait]` writes it too.
        if let (Expr::Path(path), Some(Stmt::Local(local))) = (&*last, before.last_mut())
            && let Some(init) = &mut local.init
            && init.diverge.is_none()
            && path.path.get_ident().is_some_and(|result| binds(&local.pat, result))
        {
            self.value(&mut init.expr);
        } else {
            self.value(last);
        }
    }

    /// Follows an expression to where its values come from.
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
                    Breaks { returned: self, label: Some(&label.name), unlabelled: false }.visit_block_mut(&mut inner.block);
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
    //         let _: ::hybridcache::NoCache<()> = NoCache(());    // the import stays in use, and is the right one
    //         user
    //     })
    fn replace(&mut self, expression: &mut Expr) -> bool {
        let Some((error, constructor, value)) = error_with_no_cache(expression) else { return false };
        let (at_error, at_name) = (hidden(error.span()), hidden(constructor.span()));
        let (facade, private) = (self.facade.at(constructor.span()), self.facade.private_at(error.span()));
        let mut constructor = constructor.clone();
        if let Some(last) = constructor.path.segments.last_mut() {
            last.arguments = PathArguments::None;
        }
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

    // A `return` in there is not this function's.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Finds the values that leave a block or loop by `break`.
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
            Expr::Closure(_) | Expr::Async(_) => {}
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

/// The parts of `Err(NoCache(value))`, however long the paths are.
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

/// `#[instrument]` above our attribute has put the body into a future of its own.
fn in_users_block(body: &mut Block, rewrite: impl FnOnce(&mut Block)) {
    let future = body.stmts.iter_mut().find_map(|stmt| match stmt {
        Stmt::Local(Local { pat: Pat::Ident(name), init: Some(init), .. }) if name.ident == "__tracing_instrument_future" => {
            match &mut *init.expr {
                Expr::Async(future) => Some(&mut future.block),
                _ => None,
            }
        }
        _ => None,
    });
    match future {
        Some(future) => in_awaited_block(future, rewrite),
        None => rewrite(body),
    }
}

/// With `#[instrument(err)]` or `ret`, that future looks at the result of one more.
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

/// What could not be rewritten. Types and patterns are free to name it, other items are not this function's.
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

fn spells_it(tokens: TokenStream) -> bool {
    spells(tokens, NAME)
}

fn spells(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => spells(group.stream(), name),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    /// The body after the rewriting, with what replaces `Err(NoCache(v))` shortened to `[v]`.
    fn rewritten(tokens: TokenStream) -> std::result::Result<String, String> {
        let mut body: Block = syn::parse2(tokens).expect("a block");
        rewrite(&mut body, &parse_quote!(Result<User, AppError>), &Facade(parse_quote!(cache)))
            .map_err(|error| error.to_string())?;
        Ok(shortened(body.to_token_stream()))
    }

    fn shortened(tokens: TokenStream) -> String {
        let text = tokens.to_string().replace("hybridcache :: NoCache", "NoCache");
        let start = "cache :: __private :: not_stored ({ let _ : cache :: NoCache < () > = NoCache (()) ; ";
        text.replace(start, "[").replace(" })", "]")
    }

    fn becomes(from: TokenStream, to: &str) {
        // Printed by syn, as the other is.
        let to: Block = syn::parse_str(to).expect("a block");
        assert_eq!(rewritten(from).expect("accepted"), to.to_token_stream().to_string());
    }

    fn refused(tokens: TokenStream) {
        let text = tokens.to_string();
        let mistake = rewritten(tokens).expect_err(&text);
        assert!(mistake.contains("`return Err(NoCache(..))`"), "{text}: {mistake}");
    }

    #[test]
    fn what_the_function_returns_is_rewritten() {
        becomes(quote!({ Err(NoCache(u)) }), "{ [u] }");
        becomes(quote!({ (Err(NoCache(u))) }), "{ [u] }");
        becomes(quote!({ a(); return Err(NoCache(u)); }), "{ a(); return [u]; }");
        becomes(quote!({ Result::Err(hybridcache::NoCache(u)) }), "{ [u] }");
        becomes(quote!({ Err::<_, _>(NoCache::<User>(u)) }), "{ [u] }");
        becomes(quote!({ if a { Err(NoCache(u)) } else if b { Ok(u) } else { Err(NoCache(v)) } }), "{ if a { [u] } else if b { Ok(u) } else { [v] } }");
        becomes(quote!({ match a { A => Err(NoCache(u)), B => { b(); Err(NoCache(v)) } } }), "{ match a { A => [u], B => { b(); [v] } } }");
        becomes(quote!({ unsafe { Err(NoCache(u)) } }), "{ unsafe { [u] } }");
        becomes(quote!({ { { Err(NoCache(u)) } } }), "{ { { [u] } } }");
        becomes(quote!({ let r = Err(NoCache(u)); r }), "{ let r = [u]; r }");
        becomes(quote!({ let r: R = match a { _ => Err(NoCache(u)) }; #[allow(x)] r }), "{ let r: R = match a { _ => [u] }; #[allow(x)] r }");
    }

    #[test]
    fn a_return_is_found_wherever_it_is_the_functions_own() {
        becomes(quote!({ for x in y { if x { return Err(NoCache(x)); } } Ok(1) }), "{ for x in y { if x { return [x]; } } Ok(1) }");
        becomes(quote!({ let Some(x) = y else { return Err(NoCache(z)) }; Ok(x) }), "{ let Some(x) = y else { return [z] }; Ok(x) }");
        becomes(quote!({ let v = match x { Some(v) => v, None => return Err(NoCache(z)) }; Ok(v) }), "{ let v = match x { Some(v) => v, None => return [z] }; Ok(v) }");
        becomes(quote!({ return if a { Err(NoCache(z)) } else { Ok(v) }; }), "{ return if a { [z] } else { Ok(v) }; }");
    }

    #[test]
    fn a_break_with_a_value_is_followed() {
        becomes(quote!({ loop { break Err(NoCache(u)); } }), "{ loop { break [u]; } }");
        becomes(quote!({ 'a: { if b { break 'a Err(NoCache(u)); } Ok(v) } }), "{ 'a: { if b { break 'a [u]; } Ok(v) } }");
        becomes(quote!({ 'a: loop { loop { break 'a Err(NoCache(u)); } } }), "{ 'a: loop { loop { break 'a [u]; } } }");
        refused(quote!({ loop { let r = loop { break Err(NoCache(u)); }; f(r); } }));
    }

    #[test]
    fn what_the_function_does_not_return_is_refused() {
        refused(quote!({ let f = |u| Err(NoCache(u)); f(u) }));
        refused(quote!({ async { Err(NoCache(u)) }.await }));
        refused(quote!({ let r = Err(NoCache(u)); r?; Ok(v) }));
        refused(quote!({ Err(NoCache(u))?; Ok(v) }));
        refused(quote!({ u.map_err(NoCache) }));
        refused(quote!({ bail!(NoCache(u)) }));
        refused(quote!({ f(Err(NoCache(u))) }));
        refused(quote!({ Some(Err(NoCache(u))) }));
    }

    #[test]
    fn patterns_types_and_other_items_may_name_it() {
        for tokens in [
            quote!({ match helper() { Err(e) => Err(e.into()), Ok(v) => Ok(v) } }),
            quote!({ let r: Result<User, NoCache<User>> = helper(); f(r) }),
            quote!({ fn helper(u: User) -> Result<User, NoCache<User>> { Err(NoCache(u)) } f(helper(u)) }),
            quote!({ if matches!(r, Err(NoCache(_))) { a } else { b } }),
        ] {
            becomes(tokens.clone(), &tokens.to_string());
        }
    }

    #[test]
    fn a_declared_no_cache_is_told_by_its_type() {
        let mut body: Block = parse_quote!({ helper(|u| Err(NoCache(u))) });
        let declared = parse_quote!(Result<User, NoCache<User>>);
        assert!(rewrite(&mut body, &declared, &Facade(parse_quote!(cache))).is_ok());
    }

    #[test]
    fn a_body_wrapped_by_instrument_is_looked_into() {
        for future in [
            quote!(async move { { if false { return loop {}; } { Err(NoCache(u)) } } }),
            quote!(async move { match async move { { { Err(NoCache(u)) } } }.await { Ok(x) => Ok(x), Err(e) => Err(e) } }),
            quote!(async move { let x = async move { { { return Err(NoCache(u)); } } }.await; x }),
        ] {
            let body = quote!({
                let __tracing_attr_span = span();
                let __tracing_instrument_future = #future;
                __tracing_instrument_future.await
            });
            let rewritten = rewritten(body).expect("accepted");
            assert!(rewritten.contains("[u]"), "{rewritten}");
        }
    }
}

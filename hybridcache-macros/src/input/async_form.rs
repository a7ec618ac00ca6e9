//! The two forms of an async function: an `async fn`, or the function that `#[async_trait]` makes of one.

use syn::{
    Block, Error, Expr, FnArg, GenericArgument, Ident, Local, LocalInit, Pat, PathArguments, Result, ReturnType,
    Signature, Stmt, Type, TypeParamBound, TypePath, parse_quote_spanned,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// `async fn`
    Async,
    /// `fn .. -> Pin<Box<dyn Future<Output = R> + ..>> { Box::pin(async move { .. }) }`
    Boxed,
}

impl Form {
    /// The form, the output of the function's future, and its body.
    pub(crate) fn find(sig: &mut Signature, block: Block) -> Result<(Self, Type, Block)> {
        if sig.asyncness.is_some() {
            let span = sig.ident.span();
            let returns = match &sig.output {
                ReturnType::Type(_, ty) => (**ty).clone(),
                ReturnType::Default => parse_quote_spanned!(span=> ()),
            };
            return Ok((Self::Async, returns, block));
        }
        let Some((returns, mut body)) = boxed_output(&sig.output).zip(boxed_body(block)) else {
            return Err(Error::new(sig.fn_token.span, "a cached function is an `async fn`: put `async` before `fn`"));
        };
        restore_patterns(sig, &mut body);
        Ok((Self::Boxed, returns, body))
    }
}

/// The `R` of `Pin<Box<dyn Future<Output = R> + ..>>`.
fn boxed_output(output: &ReturnType) -> Option<Type> {
    let ReturnType::Type(_, output) = output else { return None };
    let Type::TraitObject(future) = only_argument(only_argument(output, "Pin")?, "Box")? else { return None };
    let TypeParamBound::Trait(bound) = future.bounds.first()? else { return None };
    let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
        _ => None,
    })
}

/// The `T` of `Name<T>`.
fn only_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(TypePath { qself: None, path, .. }) = ty else { return None };
    let last = path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(argument)) if arguments.args.len() == 1 => Some(argument),
        _ => None,
    }
}

/// The inner block of a body that is `Box::pin(async move { .. })`.
fn boxed_body(block: Block) -> Option<Block> {
    let [Stmt::Expr(Expr::Call(call), None)] = <[Stmt; 1]>::try_from(block.stmts).ok()? else { return None };
    let Expr::Path(function) = *call.func else { return None };
    let mut path = function.path.segments.iter().rev().map(|segment| &segment.ident);
    if path.next()? != "pin" || path.next()? != "Box" {
        return None;
    }
    let mut arguments = call.args.into_iter();
    match (arguments.next(), arguments.next()) {
        (Some(Expr::Async(future)), None) if future.capture.is_some() => Some(future.block),
        _ => None,
    }
}

// `#[async_trait]` has made of an argument `(a, b): (A, B)`
//     in the signature: __arg1: (A, B)
//     in the body:      let (a, b) = { let __arg1 = __arg1; __arg1 };
// Keys use the names in the pattern, so it is moved back into the signature.
fn restore_patterns(sig: &mut Signature, body: &mut Block) {
    for input in &mut sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        let Pat::Ident(name) = &*input.pat else { continue };
        if !name.ident.to_string().starts_with("__arg") {
            continue;
        }
        let bound = body.stmts.iter().position(|stmt| pattern_of(stmt, &name.ident).is_some());
        if let Some(Stmt::Local(local)) = bound.map(|at| body.stmts.remove(at)) {
            *input.pat = local.pat;
        }
    }
}

/// The pattern of `let pattern = { ..; name };`
fn pattern_of<'a>(stmt: &'a Stmt, name: &Ident) -> Option<&'a Pat> {
    let Stmt::Local(Local { pat, init: Some(LocalInit { expr, .. }), .. }) = stmt else { return None };
    let Expr::Block(block) = &**expr else { return None };
    match block.block.stmts.last()? {
        Stmt::Expr(Expr::Path(path), None) if path.path.is_ident(name) => Some(pat),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};
    use syn::ItemFn;

    use super::*;

    fn form(tokens: proc_macro2::TokenStream) -> std::result::Result<(Form, String, String), String> {
        let ItemFn { mut sig, block, .. } = syn::parse2(tokens).expect("a function");
        let (form, returns, _) = Form::find(&mut sig, *block).map_err(|error| error.to_string())?;
        Ok((form, returns.to_token_stream().to_string(), sig.inputs.to_token_stream().to_string()))
    }

    fn found(form: Form, returns: &str, inputs: &str) -> std::result::Result<(Form, String, String), String> {
        Ok((form, returns.to_owned(), inputs.to_owned()))
    }

    #[test]
    fn an_async_fn_says_what_it_returns() {
        assert_eq!(
            form(quote!(
                async fn f(a: u8) -> u64 {
                    1
                }
            )),
            found(Form::Async, "u64", "a : u8")
        );
        assert_eq!(
            form(quote!(
                async fn f() {}
            )),
            found(Form::Async, "()", "")
        );
    }

    #[test]
    fn what_async_trait_leaves_is_taken_apart() {
        assert_eq!(
            form(quote! {
                fn f<'async_trait>(__arg0: (u8, u8), id: u64) -> ::core::pin::Pin<
                    Box<dyn ::core::future::Future<Output = Result<u8, E>> + ::core::marker::Send + 'async_trait>,
                > {
                    Box::pin(async move {
                        let (a, b) = { let __arg0 = __arg0; __arg0 };
                        let id = id;
                        let __ret: Result<u8, E> = { Ok(a + b) };
                        __ret
                    })
                }
            }),
            found(Form::Boxed, "Result < u8 , E >", "(a , b) : (u8 , u8) , id : u64"),
        );
    }

    #[test]
    fn other_functions_are_refused() {
        for tokens in [
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            quote!(
                fn f() -> impl Future<Output = u8> {
                    async move { 1 }
                }
            ),
            quote!(
                fn f() -> Pin<Box<dyn Future<Output = u8>>> {
                    let a = 1;
                    Box::pin(async move { a })
                }
            ),
            quote!(
                fn f() -> Pin<Box<dyn Future<Output = u8>>> {
                    Box::pin(async { 1 })
                }
            ),
            quote!(
                fn f() -> Pin<Box<dyn Future<Output = u8>>> {
                    Rc::pin(async move { 1 })
                }
            ),
        ] {
            let mistake = form(tokens.clone()).expect_err("refused");
            assert!(mistake.contains("put `async` before `fn`"), "{tokens}: {mistake}");
        }
    }
}

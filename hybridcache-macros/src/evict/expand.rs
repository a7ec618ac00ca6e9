//! Generates the tokens of an evicting function.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{AttrStyle, Attribute, Error, Ident, ItemFn, Result, Type, parse_quote_spanned};

use super::options::{Options, When};
use super::target::Target;
use crate::errors::Errors;
use crate::input::argument::Argument;
use crate::input::async_form::Form;
use crate::input::wrap_body::{self, EVICTING};
use crate::key::tokens;
use crate::key::{self, Names, Part};
use crate::span::{Facade, ends, hidden};

// Input:
//     #[hybrid_evict(user(order.user_id), tags = ["org:{org}"])]
//     async fn place(order: Order, org: &str) -> Result<u64, AppError> { BODY }
//
// Output:
//     async fn place(order: Order, org: &str) -> Result<u64, AppError> {
//         let __eviction = EVICTION;
//         let __returned = async move { BODY }.await;
//         let (__value, __give) = match Written(__returned).__hc_unless_err() {
//             Verdict::Evict(value, give) => (value, give),
//             Verdict::Leave(returned) => { Eviction::cancel(__eviction); return returned }
//         };
//         Eviction::run(__eviction).await;
//         __give(__value)
//     }
//
/// The function with another body. `None`: it cannot evict, and `errors` says why.
pub(crate) fn expand(item: ItemFn, options: &Options, errors: &mut Errors) -> Option<TokenStream> {
    let ItemFn { attrs, vis, mut sig, block, .. } = item;
    let (form, mut returns, written) = errors.keep(Form::find(&mut sig, *block).map_err(not_async))?;
    errors.keep(check_return_type(&returns))?;
    InferImplTrait.visit_type_mut(&mut returns);
    let arguments: Vec<_> = sig.inputs.iter().map(Argument::parse).collect();
    let names = Names::new(&sig.ident, &arguments);
    let tags = options.tags.iter().map(|tag| errors.keep(key::from_tag(tag, &names))).collect::<Option<Vec<_>>>()?;

    let location = sig.ident.span();
    let at = hidden(location);
    let facade = Facade(options.facade.clone());
    let eviction = eviction(options, &tags, location, &facade);
    let written = wrap_body::typed_block(&written, &returns, location, &facade);
    let evict = evict(options.when, location, &facade);
    let returned = Ident::new(EVICTING, at);
    let evicting = quote_spanned! {at=>
        let __eviction = #eviction;
        let #returned = async move { #written }.await;
        #evict
    };
    let evicting = match form {
        Form::Async => evicting,
        Form::Boxed => quote_spanned!(at=> ::std::boxed::Box::pin(async move { #evicting })),
    };
    let is_inner = |attr: &&Attribute| matches!(attr.style, AttrStyle::Inner(_));
    let (inner, outer): (Vec<_>, Vec<_>) = attrs.iter().partition(is_inner);
    Some(quote!(#(#outer)* #vis #sig { #(#inner)* #evicting }))
}

// Output:
//     {
//         let mut __eviction = Eviction::new();
//         Eviction::entry(&mut __eviction, user_entry(order.user_id));
//         let __cache: &HybridCache = &(self.cache);
//         Eviction::tag(&mut __eviction, __cache, &{ KEY __key });
//         __eviction
//     }
//
// Evaluated before the body, which may consume the arguments. Errors about a handle have the span of the target's call.
fn eviction(options: &Options, tags: &[Vec<Part>], location: Span, facade: &Facade) -> TokenStream {
    let (at, private) = (hidden(location), facade.private_at(location));
    let entries = options.targets.iter().map(|Target { handle }| {
        let blamed = ends(handle).0;
        let (at, private) = (hidden(blamed), facade.private_at(blamed));
        quote_spanned!(at=> #private::Eviction::entry(&mut __eviction, #handle);)
    });
    let cache = (!tags.is_empty()).then(|| tokens::cache(options.cache.as_ref(), location, facade));
    let tags = tags.iter().map(|tag| {
        let key = tokens::key_buffer(tag, location, facade);
        quote_spanned!(at=> #private::Eviction::tag(&mut __eviction, __cache, &{ #key __key });)
    });
    quote_spanned! {at=> {
        let mut __eviction = #private::Eviction::new();
        #(#entries)*
        #cache
        #(#tags)*
        __eviction
    }}
}

/// Of a `Result` only the value in `Ok` lives across the `await`, so the error need not be `Send`.
fn evict(when: When, location: Span, facade: &Facade) -> TokenStream {
    let (at, private) = (hidden(location), facade.private_at(location));
    let returned = Ident::new(EVICTING, at);
    match when {
        When::Ok => quote_spanned! {at=>
            let (__value, __give) = {
                use #private::ladder::*;
                match #private::Written(#returned).__hc_unless_err() {
                    #private::Verdict::Evict(__value, __give) => (__value, __give),
                    #private::Verdict::Leave(__returned) => {
                        #private::Eviction::cancel(__eviction);
                        return __returned;
                    }
                }
            };
            #private::Eviction::run(__eviction).await;
            __give(__value)
        },
        When::Always => quote_spanned! {at=>
            #private::Eviction::run(__eviction).await;
            #returned
        },
    }
}

fn not_async(error: Error) -> Error {
    Error::new(error.span(), "an evicting function is an `async fn`: put `async` before `fn`")
}

fn check_return_type(ty: &Type) -> Result<()> {
    match ty {
        Type::Never(never) => {
            Err(Error::new_spanned(never, "a function that never returns evicts nothing: call the handle in its body"))
        }
        _ => Ok(()),
    }
}

/// `Result<impl Trait, E>` becomes `Result<_, E>`: an `impl Trait` cannot be named in the body.
struct InferImplTrait;

impl VisitMut for InferImplTrait {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::ImplTrait(opaque) = ty {
            let span = ends(opaque).0;
            *ty = parse_quote_spanned!(span=> _);
        }
        visit_mut::visit_type_mut(self, ty);
    }
}

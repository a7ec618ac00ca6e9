//! Generates the tokens of a [`CachedFn`]; checks nothing. Every call into the runtime has the span of the user's tokens that
//! are at fault if its bounds do not hold.

mod call;
mod emitter;
mod load;
mod settings;

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{AttrStyle, Attribute, ItemFn, Meta};

use self::emitter::{Emitter, mark_used};
use crate::cached::signature::CachedFn;
use crate::input::async_form::Form;
use crate::span::{Facade, hidden};

/// The function and its entry handle. `nth` distinguishes functions with the same path, such as methods of two types.
pub(crate) fn expand(function: &CachedFn, facade: &Facade, nth: u32) -> TokenStream {
    let emitter = Emitter { function, facade, nth };
    let cached = emitter.cached_function();
    let entry = emitter.entry_handle();
    quote!(#cached #entry)
}

/// After an error: the function as written and a handle, so that code that uses them causes no further errors.
pub(crate) fn rejected(item: &ItemFn, function: Option<&CachedFn>, facade: &Facade) -> TokenStream {
    let entry = function.and_then(|function| {
        let emitter = Emitter { function, facade, nth: 0 };
        let (header, taken) = (emitter.entry_header()?, emitter.mark_inputs_used());
        Some(quote!(#header { #taken ::core::unreachable!() }))
    });
    quote!(#item #entry)
}

impl Emitter<'_> {
    // Input:
    //     #[hybrid_cached(ttl = 1h, key = "user:{id}")]
    //     async fn user(db: &Db, id: u64, (a, b): (u8, u8)) -> Result<User, AppError> { BODY }
    //
    // Output:
    //     async fn user(db: &Db, id: u64, __a_b: (u8, u8)) -> Result<User, AppError> {
    //         let __joined = {
    //             let __shape = PROBE;
    //             let __begun = { KEY begin(CACHE, INSTANCE, &__key, __shape) };
    //             let __slow = match __begun { Begin::Hit(hit) => return hit, Begin::SlowPath(slow) => slow };
    //             __slow.join(SETTINGS)
    //         };
    //         let __loaded = match __joined.await {
    //             Ok(value) => return value,
    //             Err(must_load) => {
    //                 let __owned_0 = LoadArg::<Db>::new(db);
    //                 must_load.load(async move { LOAD })
    //             }
    //         };
    //         __loaded.await
    //     }
    //
    // No variable of the blocks lives across an `await`: the future holds the arguments and the future that it awaits, a few words.
    // `SlowPath::join` and `MustLoad::load` declare that these are `Send`, independent of the types in them: the compiler cannot prove it
    // for a type like `Box<dyn Error + ..>`.
    fn cached_function(&self) -> TokenStream {
        let CachedFn { attrs, vis, sig, form, arguments, .. } = self.function;
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let (checks, shape, begin, settings) =
            (self.checks(), self.shape(), self.begin(), self.settings(Some(self.of_loads())));
        let owned = arguments.iter().enumerate().map(|(nth, argument)| self.owned(nth, argument));
        let load = self.load();
        // The compiler reports a body that is not `Send` at this call.
        let must_load_call = quote_spanned!(hidden(sig.ident.span())=> load);
        let call = quote_spanned! {at=>
            #checks
            let __joined = {
                let __shape = #shape;
                let __begun = #begin;
                let __slow = match __begun {
                    #private::Begin::Hit(__hit) => return __hit,
                    #private::Begin::SlowPath(__slow) => __slow,
                };
                __slow.join(#settings)
            };
            let __loaded = match __joined.await {
                ::core::result::Result::Ok(__value) => return __value,
                ::core::result::Result::Err(__must_load) => {
                    #(#owned)*
                    __must_load.#must_load_call(#load)
                }
            };
            __loaded.await
        };
        let body = match form {
            Form::Async => call,
            Form::Boxed => quote_spanned!(at=> ::std::boxed::Box::pin(async move { #call })),
        };
        let is_inner = |attr: &&Attribute| matches!(attr.style, AttrStyle::Inner(_));
        let (inner, outer): (Vec<_>, Vec<_>) = attrs.iter().partition(is_inner);
        let mut block = Group::new(Delimiter::Brace, quote!(#(#inner)* #body));
        block.set_span(self.function.braces);
        quote!(#(#outer)* #vis #sig #block)
    }

    // Output:
    //     pub fn user_entry(id: u64) -> ::hybridcache::CacheEntry<Result<User, AppError>> {
    //         let __shape = PROBE;
    //         KEY entry(CACHE, INSTANCE, __key, SETTINGS)
    //     }
    fn entry_handle(&self) -> Option<TokenStream> {
        let header = self.entry_header()?;
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let (shape, patterns, key) = (self.shape(), self.patterns_by_reference(), self.key());
        let (cache, instance, settings) = (self.cache(), self.instance(), self.settings(None));
        let taken = self.mark_inputs_used();
        Some(quote_spanned! {at=>
            #header {
                let __shape = #shape;
                #taken
                #patterns
                #key
                #cache
                #private::entry(__cache, #instance, __key, #settings)
            }
        })
    }

    fn entry_header(&self) -> Option<TokenStream> {
        let CachedFn { attrs, vis, sig, returns, arguments, used, entry, .. } = self.function;
        let ident = entry.as_ref()?;
        let inputs = used.iter().map(|nth| match &sig.inputs[*nth] {
            syn::FnArg::Receiver(receiver) => {
                let mut receiver = receiver.clone();
                receiver.mutability = None;
                receiver.into_token_stream()
            }
            syn::FnArg::Typed(typed) => {
                let (cfgs, outer, ty) = (arguments[*nth].cfgs(), &arguments[*nth].outer, &typed.ty);
                quote!(#(#cfgs)* #outer: #ty)
            }
        });
        let (generics, where_clause) = (&sig.generics, &sig.generics.where_clause);
        let kept = attrs.iter().filter(|attr| match attr.path() {
            path if path.is_ident("cfg") || path.is_ident("allow") => true,
            // `#[doc(hidden)]`, but not the text.
            path => path.is_ident("doc") && matches!(attr.meta, Meta::List(_)),
        });
        let kept = kept.map(|attr| Attribute { style: AttrStyle::Outer, ..attr.clone() });
        let facade = self.facade.at(self.return_span());
        let doc = format!(
            "The cache entry of `{}` for these arguments: to invalidate, expire, read or overwrite it.",
            sig.ident.unraw()
        );
        Some(quote! {
            #(#kept)*
            #[doc = #doc]
            #[must_use = "a handle does nothing by itself"]
            #vis fn #ident #generics (#(#inputs),*) -> #facade::CacheEntry<#returns> #where_clause
        })
    }

    /// Marks all inputs of the handle as used: one may be an input only because an expression in an option spells its name.
    fn mark_inputs_used(&self) -> TokenStream {
        let taken = self.function.used.iter().map(|nth| {
            let argument = &self.function.arguments[*nth];
            mark_used(std::slice::from_ref(&argument.outer), &argument.cfgs().collect::<Vec<_>>())
        });
        taken.collect()
    }
}

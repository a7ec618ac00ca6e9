//! Tokens only: what a [`CachedFn`] becomes. Every call into the runtime stands on what is to blame if its bounds do not hold.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{ConstParam, Expr, GenericParam, Ident, ItemFn, Type, TypePath};

use crate::argument::{Argument, Passing};
use crate::key::{Part, Value, ValueKind};
use crate::mentions::may_mention;
use crate::options::Tier;
use crate::form::Form;
use crate::signature::CachedFn;
use crate::site::{Facade, ends, hidden};
use crate::time::Time;

/// The function and its entry handle. `nth` tells them from functions with the same path, such as methods of two types.
pub(crate) fn expand(function: &CachedFn, facade: &Facade, nth: u32) -> TokenStream {
    let emitter = Emitter { function, facade, nth };
    let cached = emitter.cached_function();
    let entry = emitter.entry_handle();
    quote!(#cached #entry)
}

/// Instead of them, next to the errors: what other code needs so that it has none for this.
pub(crate) fn rejected(item: &ItemFn, function: Option<&CachedFn>, facade: &Facade) -> TokenStream {
    let entry = function.and_then(|function| {
        let header = Emitter { function, facade, nth: 0 }.entry_header()?;
        Some(quote!(#header { ::core::unreachable!() }))
    });
    quote!(#item #entry)
}

struct Emitter<'a> {
    function: &'a CachedFn,
    facade: &'a Facade,
    nth: u32,
}

impl Emitter<'_> {
    // Input:
    //     #[hybrid_cached(ttl = 1h, key = "user:{id}")]
    //     async fn user(db: &Db, id: u64, (a, b): (u8, u8)) -> Result<User, AppError> { BODY }
    //
    // Output:
    //     async fn user(db: &Db, id: u64, __a_b: (u8, u8)) -> Result<User, AppError> {
    //         let __answer = {
    //             let __shape = PROBE;
    //             let __begun = { KEY begin(CACHE, INSTANCE, __key, __shape) };
    //             let __cold = match __begun { Begin::Hit(hit) => return hit, Begin::Cold(cold) => cold };
    //             let __settings = SETTINGS;
    //             let __owned_0 = LoadArg::<Db>::new(db);
    //             __cold.run(__settings, move || async move { LOAD })
    //         };
    //         __answer.await
    //     }
    //
    // Nothing of the block lives across the `await`: the future holds the arguments and one pointer, and whether it is
    // `Send` does not hang on the types in there (with `Box<dyn Error + ..>` among them the compiler could not tell).
    fn cached_function(&self) -> TokenStream {
        let CachedFn { attrs, vis, sig, form, arguments, .. } = self.function;
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let (shape, begin, settings) = (self.shape(), self.begin(), self.settings());
        let owned = arguments.iter().enumerate().map(|(nth, argument)| self.owned(nth, argument));
        let load = self.load();
        let call = quote_spanned! {at=>
            let __answer = {
                let __shape = #shape;
                let __begun = #begin;
                let __cold = match __begun {
                    #private::Begin::Hit(__hit) => return __hit,
                    #private::Begin::Cold(__cold) => __cold,
                };
                let __settings = #settings;
                #(#owned)*
                __cold.run(__settings, #load)
            };
            __answer.await
        };
        let body = match form {
            Form::Async => call,
            Form::Boxed => quote_spanned!(at=> ::std::boxed::Box::pin(async move { #call })),
        };
        quote!(#(#attrs)* #vis #sig { #body })
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
        let (cache, instance, settings) = (self.cache(), self.instance(), self.settings());
        Some(quote_spanned! {at=>
            #header {
                let __shape = #shape;
                #patterns
                #key
                #private::entry(#cache, #instance, __key, #settings)
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
        let kept = attrs.iter().filter(|attr| ["cfg", "allow"].iter().any(|kept| attr.path().is_ident(kept)));
        let facade = self.facade.at(self.return_span());
        let doc = format!(
            "The cache entry of `{}` for these arguments: to invalidate, expire, read or overwrite it.",
            sig.ident.unraw()
        );
        Some(quote! {
            #(#kept)*
            #[doc = #doc]
            #[must_use = "a handle does nothing by itself"]
            #[allow(dead_code, unused_variables)]
            #vis fn #ident #generics (#(#inputs),*) -> #facade::CacheEntry<#returns> #where_clause
        })
    }

    fn return_span(&self) -> Span {
        ends(&self.function.returns).0
    }

    /// The kind of return type, found by the type and not by its spelling.
    fn shape(&self) -> TokenStream {
        let returns = &self.function.returns;
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        quote_spanned!(at=> {
            use #private::ladder::*;
            (&&&&#private::Probe::<#returns>::new().returns()).shape()
        })
    }

    fn begin(&self) -> TokenStream {
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let (patterns, key, cache, instance) = (self.patterns_by_reference(), self.key(), self.cache(), self.instance());
        quote_spanned!(at=> {
            #patterns
            #key
            #private::begin(#cache, #instance, __key, __shape)
        })
    }

    /// The names in patterns, for keys and settings to use.
    fn patterns_by_reference(&self) -> TokenStream {
        let used = self.function.used.iter().map(|nth| &self.function.arguments[*nth]);
        let patterns = used.filter_map(|argument| {
            let (pattern, scrutinee) = argument.pattern_by_reference()?;
            let cfgs = argument.cfgs();
            Some(quote!(#(#cfgs)* #[allow(unused_variables)] let #pattern = #scrutinee;))
        });
        patterns.collect()
    }

    fn key(&self) -> TokenStream {
        self.key_buffer(&self.function.key)
    }

    // Output:
    //     let mut __key = KeyBuf::new();
    //     __key.literal("user:");
    //     { use ladder::*; (&&Placeholder(&id)).write(&mut __key); }
    fn key_buffer(&self, parts: &[Part]) -> TokenStream {
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let parts = parts.iter().map(|part| match part {
            Part::Text(text) => quote_spanned!(at=> __key.literal(#text);),
            Part::Value(value) => self.key_value(value),
        });
        quote_spanned!(at=> #[allow(unused_mut)] let mut __key = #private::KeyBuf::new(); #(#parts)*)
    }

    fn key_value(&self, Value { reference, kind, blamed, cfgs }: &Value) -> TokenStream {
        let at = hidden(*blamed);
        let private = self.facade.private_at(*blamed);
        let write = match kind {
            ValueKind::CacheKey => quote_spanned!(at=> { #private::key_part(#reference, &mut __key); }),
            ValueKind::Placeholder => quote_spanned!(at=> {
                use #private::ladder::*;
                (&&#private::Placeholder(#reference)).write(&mut __key);
            }),
        };
        quote!(#(#cfgs)* #write)
    }

    fn cache(&self) -> TokenStream {
        match &self.function.options.cache {
            None => {
                let private = self.facade.private_at(self.return_span());
                quote_spanned!(hidden(self.return_span())=> #private::installed())
            }
            Some(cache) => {
                let (start, end) = ends(cache);
                let parenthesized = quote_spanned!(hidden(end)=> (#cache));
                quote_spanned!(hidden(start)=> &#parenthesized)
            }
        }
    }

    // Output:
    //     Instance { site: const { &Site::implicit(module_path!(), file!(), 3, "user", 0) }, receiver: "", generics: &[] }
    fn instance(&self) -> TokenStream {
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let CachedFn { sig, arguments, options, .. } = self.function;
        let version = options.version;
        if let Some(name) = &options.name {
            return quote_spanned! {at=> #private::Instance {
                site: const { &#private::Site::named(#name, #version) },
                receiver: "",
                generics: &[],
            }};
        }
        let (name, nth) = (sig.ident.unraw().to_string(), self.nth);
        let receiver = match arguments.first() {
            Some(first) if first.is_self() => quote_spanned!(at=> ::core::any::type_name::<Self>()),
            _ => quote_spanned!(at=> ""),
        };
        let parameters = sig.generics.params.iter().filter_map(|parameter| self.generic(parameter));
        let opaque = arguments.iter().filter(|argument| argument.is_opaque()).map(|argument| {
            let outer = &argument.outer;
            quote_spanned!(at=> ::core::any::type_name_of_val(&#outer))
        });
        let generics = parameters.chain(opaque);
        quote_spanned! {at=> #private::Instance {
            site: const {
                &#private::Site::implicit(::core::module_path!(), ::core::file!(), #nth, #name, #version)
            },
            receiver: #receiver,
            generics: &[#(#generics),*],
        }}
    }

    /// A text that tells one argument of a generic parameter from another.
    fn generic(&self, parameter: &GenericParam) -> Option<TokenStream> {
        let at = hidden(self.return_span());
        match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(parameter) => {
                let ident = &parameter.ident;
                Some(quote_spanned!(at=> ::core::any::type_name::<#ident>()))
            }
            GenericParam::Const(ConstParam { ident, ty, .. }) if is_usize(ty) => {
                Some(quote_spanned!(at=> ::core::any::type_name::<[(); #ident]>()))
            }
            // No type of the standard library takes a `bool` or a `char`. Such functions are rare enough to allocate.
            GenericParam::Const(ConstParam { ident, .. }) => {
                Some(quote_spanned!(at=> &*::std::string::ToString::to_string(&#ident)))
            }
        }
    }

    // Output:
    //     { Settings::shared(__shape).lifetimes(Lifetimes::from_millis(3600000, 60000)).tag({ KEY __key }) }
    fn settings(&self) -> TokenStream {
        let span = self.return_span();
        let at = hidden(span);
        let private = self.facade.private_at(span);
        let options = &self.function.options;
        let patterns = self.patterns_by_reference();
        let new = match options.tier {
            Tier::Both => quote_spanned!(at=> shared),
            Tier::Memory => quote_spanned!(at=> memory_only),
        };
        let lifetimes = self.lifetimes();
        let timeout = options.timeout.as_ref().map(|timeout| self.timeout(timeout));
        let tags = self.function.tags.iter().map(|tag| {
            let key = self.key_buffer(tag);
            quote_spanned!(at=> .tag({ #key __key }))
        });
        let weigh = options.weigh.as_ref().map(|weigh| {
            let at = hidden(ends(weigh).0);
            quote_spanned!(at=> .weigh(#weigh))
        });
        quote_spanned!(at=> {
            #patterns
            #private::Settings::#new(__shape).lifetimes(#lifetimes) #timeout #(#tags)* #weigh
        })
    }

    fn lifetimes(&self) -> TokenStream {
        let options = &self.function.options;
        // An attribute without `ttl` was rejected.
        let Some(ttl) = &options.ttl else { return TokenStream::new() };
        let blamed = ends(options.fresh_for.as_ref().unwrap_or(ttl)).0;
        let at = hidden(blamed);
        let private = self.facade.private_at(blamed);
        if let (Time::Literal(ttl), None) = (ttl, &options.fresh_for) {
            let ttl = ttl.milliseconds;
            return quote_spanned!(at=> #private::Lifetimes::from_millis(#ttl, #ttl));
        }
        if let (Time::Literal(ttl), Some(Time::Literal(fresh_for))) = (ttl, &options.fresh_for) {
            let (ttl, fresh_for) = (ttl.milliseconds, fresh_for.milliseconds);
            return quote_spanned!(at=> #private::Lifetimes::from_millis(#ttl, #fresh_for));
        }
        let is_computed = |time: &Time| matches!(time, Time::Computed(_));
        let computed = is_computed(ttl) || options.fresh_for.as_ref().is_some_and(is_computed);
        let ttl = duration(ttl);
        let fresh_for = match &options.fresh_for {
            None => quote_spanned!(at=> ::core::option::Option::None),
            Some(fresh_for) => {
                let fresh_for = duration(fresh_for);
                quote_spanned!(at=> ::core::option::Option::Some(#fresh_for))
            }
        };
        if computed {
            quote_spanned!(at=> #private::Lifetimes::computed(#ttl, #fresh_for))
        } else {
            quote_spanned!(at=> const { #private::Lifetimes::constant(#ttl, #fresh_for) })
        }
    }

    fn timeout(&self, timeout: &Time) -> TokenStream {
        let blamed = ends(timeout).0;
        let at = hidden(blamed);
        let private = self.facade.private_at(blamed);
        let value = duration(timeout);
        match timeout {
            Time::Constant(_) => quote_spanned!(at=> .timeout(const { #private::constant_timeout(#value) })),
            _ => quote_spanned!(at=> .timeout(#value)),
        }
    }

    /// What happens to an argument before a load takes it: a borrowed one is cloned, for an owned one its type is checked.
    fn owned(&self, nth: usize, argument: &Argument) -> TokenStream {
        if argument.is_ignored() {
            return TokenStream::new();
        }
        let (outer, ty, cfgs) = (&argument.outer, &argument.ty, argument.cfgs());
        let blamed = ends(ty).0;
        let at = hidden(blamed);
        let private = self.facade.private_at(blamed);
        let statement = match &argument.passing {
            Passing::Borrowed(_) if !self.is_seen_by_load(argument) => TokenStream::new(),
            Passing::Borrowed(target) => {
                let owned = owned_name(nth);
                let target = if argument.is_opaque() { quote_spanned!(at=> _) } else { target.into_token_stream() };
                quote_spanned!(at=> let #owned = #private::LoadArg::<#target>::new(#outer);)
            }
            Passing::Owned if argument.is_opaque() => quote_spanned!(at=> #private::sendable_value(&#outer);),
            Passing::Owned => quote_spanned!(at=> let _ = #private::sendable::<#ty>;),
        };
        if statement.is_empty() { statement } else { quote!(#(#cfgs)* #statement) }
    }

    /// A borrowed argument of which the body knows nothing need not be cloned.
    fn is_seen_by_load(&self, argument: &Argument) -> bool {
        let body = self.function.body.to_token_stream();
        let names = if argument.is_self() { vec![crate::argument::LOCAL_SELF.to_owned()] } else { unraw(&argument.names) };
        names.iter().any(|name| may_mention(body.clone(), name))
    }

    // Output:
    //     move || async move {
    //         let db: &Db = __owned_0.get();
    //         let (a, b) = __a_b;
    //         if let Some(__result) = None::<Result<User, AppError>> { return __result; }
    //         let __result: Result<User, AppError> = { BODY };
    //         __result
    //     }
    //
    // The type of the body is fixed as async-trait does it, so that `?`, `return` and coercions mean what they meant.
    fn load(&self) -> TokenStream {
        let CachedFn { sig, body, returns, arguments, .. } = self.function;
        let bindings = arguments.iter().enumerate().map(|(nth, argument)| self.binding(nth, argument));
        let at = hidden(sig.ident.span());
        quote_spanned! {at=>
            move || async move {
                #(#bindings)*
                if let ::core::option::Option::Some(__result) = ::core::option::Option::None::<#returns> {
                    return __result;
                }
                let __result: #returns = #body;
                #[allow(unreachable_code)]
                __result
            }
        }
    }

    /// How the body comes to see an argument as it was written. One that is owned and has a plain name is seen as it is.
    fn binding(&self, nth: usize, argument: &Argument) -> TokenStream {
        let Argument { outer, inner, .. } = argument;
        let cfgs = argument.cfgs();
        // What only the key uses is no unused argument.
        let allowed = self.function.used.contains(&nth).then(|| quote!(#[allow(unused_variables)]));
        let at = hidden(outer.span());
        match &argument.passing {
            Passing::Borrowed(_) if argument.is_ignored() || !self.is_seen_by_load(argument) => TokenStream::new(),
            Passing::Borrowed(target) => {
                let owned = owned_name(nth);
                let annotation = (!argument.is_opaque()).then(|| quote_spanned!(at=> : &#target));
                quote_spanned!(at=> #(#cfgs)* #allowed let #inner #annotation = #owned.get();)
            }
            Passing::Owned if argument.is_ignored() || argument.is_self() || argument.is_plain() => TokenStream::new(),
            Passing::Owned => quote_spanned!(at=> #(#cfgs)* #allowed let #inner = #outer;),
        }
    }
}

fn owned_name(nth: usize) -> Ident {
    format_ident!("__owned_{nth}", span = Span::mixed_site())
}

fn unraw(names: &[Ident]) -> Vec<String> {
    names.iter().map(|name| name.unraw().to_string()).collect()
}

fn is_usize(ty: &Type) -> bool {
    matches!(ty, Type::Path(TypePath { qself: None, path, .. }) if path.is_ident("usize"))
}

fn duration(time: &Time) -> TokenStream {
    match time {
        Time::Literal(literal) => {
            let milliseconds = literal.milliseconds;
            quote_spanned!(hidden(ends(time).0)=> ::core::time::Duration::from_millis(#milliseconds))
        }
        Time::Constant(expression) | Time::Computed(expression) => Expr::to_token_stream(expression),
    }
}

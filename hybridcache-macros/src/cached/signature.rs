//! Checks a function and its options, and makes a valid [`CachedFn`] of them.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::{Attribute, Block, Error, FnArg, Ident, ItemFn, Result, Safety, Signature, Type, Visibility};

use crate::cached::options::{Key, Options, Tier};
use crate::errors::Errors;
use crate::input::argument::{Argument, Passing, check_generics};
use crate::input::async_form::Form;
use crate::input::free_names::free_names;
use crate::input::receiver::rename_self;
use crate::input::types::{first_borrow, first_impl_trait, first_reference};
use crate::key::{self, Names, Part};
use crate::parse::bytes::Bytes;
use crate::parse::time::Time;

/// A function that can be cached.
pub(crate) struct CachedFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// As written, except that arguments that are patterns have names.
    pub(crate) sig: Signature,
    pub(crate) form: Form,
    /// The span of the function's braces. With braces of the macro, lints such as `dead_code` and `missing_errors_doc` would take the
    /// function for generated code and skip it.
    pub(crate) braces: Span,
    /// The block that a load runs.
    pub(crate) body: Block,
    /// The output of the function's future.
    pub(crate) returns: Type,
    /// With the receiver, which is the first.
    pub(crate) arguments: Vec<Argument>,
    pub(crate) key: Vec<Part>,
    pub(crate) tags: Vec<Vec<Part>>,
    /// The indices of the arguments that key, tags and settings name.
    pub(crate) used: Vec<usize>,
    pub(crate) options: Options,
    /// The name of the entry handle.
    pub(crate) entry: Option<Ident>,
}

impl CachedFn {
    /// `None`: the item cannot be a cached function at all. After any other mistake the rest is still checked.
    pub(crate) fn check(item: ItemFn, options: Options, errors: &mut Errors) -> Option<Self> {
        let ItemFn { attrs, vis, mut sig, block, .. } = item;
        errors.keep(check_qualifiers(&sig))?;
        errors.keep(check_order(&attrs));
        let braces = block.brace_token.span.join();
        let (form, returns, body) = errors.keep(Form::find(&mut sig, *block))?;
        let returns_fit = errors.keep(check_return_type(&returns, options.tier)).is_some();

        let arguments: Vec<_> = sig.inputs.iter().map(Argument::parse).collect();
        for argument in &arguments {
            errors.keep(argument.check());
        }
        errors.keep(check_generics(&sig.generics));

        let names = Names::new(&sig.ident, &arguments);
        let key = key_of(&options, &names, errors);
        let tags = options.tags.iter().filter_map(|tag| errors.keep(key::from_tag(tag, &names))).collect();
        let used = used_arguments(&options, &names, &arguments);
        errors.keep(check_receiver_in_key(&options, &arguments));
        let entry = entry_of(&sig, &options, &arguments, &used, errors).filter(|_| returns_fit);

        let sig = with_plain_inputs(sig, &arguments);
        Some(
            Self { attrs, vis, sig, form, braces, body, returns, arguments, key, tags, used, options, entry }
                .with_local_self(),
        )
    }

    fn with_local_self(mut self) -> Self {
        if self.arguments.iter().any(|argument| argument.is_self() && matches!(argument.passing, Passing::Borrowed(_)))
        {
            rename_self(&mut self.body);
        }
        self
    }
}

fn check_qualifiers(sig: &Signature) -> Result<()> {
    let refused = |tokens: TokenStream| {
        Err(Error::new_spanned(&tokens, format!("a cached function cannot be `{}`: remove it", tokens)))
    };
    if let Some(constness) = &sig.constness {
        return refused(constness.to_token_stream());
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        return refused(unsafety.to_token_stream());
    }
    if let Some(abi) = &sig.abi {
        return refused(abi.to_token_stream());
    }
    if let Some(variadic) = &sig.variadic {
        return Err(Error::new_spanned(variadic, "a cached function cannot take a variable number of arguments"));
    }
    Ok(())
}

/// An attribute below this one is expanded later, so it wraps the cached call.
fn check_order(attrs: &[Attribute]) -> Result<()> {
    let evicting =
        attrs.iter().find(|attr| attr.path().segments.last().is_some_and(|last| last.ident == "hybrid_evict"));
    match evicting {
        Some(attr) => Err(Error::new_spanned(
            attr.path(),
            "below `#[hybrid_cached]` it would evict after every call, hits too: put it above, so that it evicts \
             after loads only",
        )),
        None => Ok(()),
    }
}

fn check_return_type(ty: &Type, tier: Tier) -> Result<()> {
    if let Some(opaque) = first_impl_trait(ty) {
        return Err(Error::new_spanned(
            opaque,
            "a cached function returns a type that has a name: write the type, or a `Box<dyn Trait + Send + Sync>`",
        ));
    }
    if let Some(borrow) = first_borrow(ty) {
        return Err(Error::new_spanned(
            borrow,
            "a cached value outlives the call and cannot borrow: return an owned type, as `String` for `&str`, or \
             `Arc<T>`",
        ));
    }
    if let (Some(reference), Tier::Both) = (first_reference(ty), tier) {
        return Err(Error::new_spanned(
            reference,
            "a reference cannot be read back from Redis: return an owned type, as `String` for `&str`, or keep the value in \
             memory with `tier = memory`",
        ));
    }
    Ok(())
}

fn key_of(options: &Options, names: &Names<'_>, errors: &mut Errors) -> Vec<Part> {
    let Some(key) = &options.key else { return key::from_arguments(&options.skip, names, errors) };
    if let Some(skipped) = options.skip.iter().find(|skipped| *skipped != "self") {
        errors.push(Error::new(
            skipped.span(),
            "`skip` is for the default key: with `key`, only what `key` names is part of the key, so remove this",
        ));
    }
    match key {
        Key::Template(template) => errors.keep(key::from_template(template, names)).unwrap_or_default(),
        Key::Expression(expression) => key::from_expression(expression, names, errors),
    }
}

/// The arguments that the entry handle needs: those that key, tags, cache, weight and computed times name.
fn used_arguments(options: &Options, names: &Names<'_>, arguments: &[Argument]) -> Vec<usize> {
    let mut used = HashSet::new();
    match &options.key {
        None => {
            let skipped = |name: &Ident| options.skip.iter().any(|skipped| skipped.unraw() == name.unraw());
            used.extend(
                names.all().map(|(_, name)| name).filter(|name| !skipped(name)).map(|name| name.unraw().to_string()),
            );
        }
        Some(Key::Template(template)) => used.extend(key::names_in_template(template).into_iter().flatten()),
        Some(Key::Expression(expression)) => used.extend(free_names(expression.to_token_stream())),
    }
    used.extend(options.tags.iter().filter_map(key::names_in_template).flatten());
    let max_value = match &options.max_value {
        Some(Bytes::Computed(expression)) => Some(expression),
        _ => None,
    };
    for expression in options.cache.iter().chain(&options.weigh).chain(max_value) {
        used.extend(free_names(expression.to_token_stream()));
    }
    for time in options.times_of_values() {
        if let Time::Computed(expression) = time {
            used.extend(free_names(expression.to_token_stream()));
        }
    }
    let is_used = |argument: &Argument| argument.names.iter().any(|name| used.contains(&name.unraw().to_string()));
    arguments.iter().enumerate().filter(|(_, argument)| is_used(argument)).map(|(nth, _)| nth).collect()
}

fn check_receiver_in_key(options: &Options, arguments: &[Argument]) -> Result<()> {
    let Some(receiver) = arguments.first().filter(|first| first.is_self()) else { return Ok(()) };
    let key_names_self = match &options.key {
        None => true,
        // An invalid template has its own message.
        Some(Key::Template(template)) => {
            key::names_in_template(template).is_none_or(|names| names.iter().any(|name| name == "self"))
        }
        Some(Key::Expression(expression)) => free_names(expression.to_token_stream()).contains("self"),
    };
    if key_names_self || options.skip.iter().any(|skipped| skipped == "self") {
        return Ok(());
    }
    Err(Error::new(
        receiver.outer.span(),
        "`self` is not part of the key: two values of `Self` would share entries; name a field that distinguishes \
         them, as in `{self.field}`, or write `skip(self)` if they may share",
    ))
}

fn entry_of(
    sig: &Signature,
    options: &Options,
    arguments: &[Argument],
    used: &[usize],
    errors: &mut Errors,
) -> Option<Ident> {
    if !options.entry {
        return None;
    }
    if sig.generics.lifetimes().any(|parameter| parameter.lifetime.ident == "async_trait") {
        errors.push(Error::new(
            sig.ident.span(),
            "an entry handle would not be a member of the trait: add `entry = false` to the options",
        ));
        return None;
    }
    // An argument that a load cannot own has its own message.
    let left_out = arguments
        .iter()
        .enumerate()
        .find(|(nth, argument)| argument.is_opaque() && !used.contains(nth) && argument.check().is_ok());
    if let (Some((_, argument)), None) = (left_out, &options.name) {
        errors.push(Error::new_spanned(
            &argument.ty,
            "the entry handle does not know this type, since the key leaves the argument out: give the function a \
             `name`, which all types then share, or write `entry = false`",
        ));
    }
    Some(format_ident!("{}_entry", sig.ident.unraw(), span = sig.ident.span()))
}

/// Arguments of the emitted function are plain names; the load matches the patterns.
fn with_plain_inputs(mut sig: Signature, arguments: &[Argument]) -> Signature {
    for (input, argument) in sig.inputs.iter_mut().zip(arguments) {
        if let FnArg::Typed(typed) = input {
            *typed.pat = argument.outer_pattern();
        }
    }
    sig
}

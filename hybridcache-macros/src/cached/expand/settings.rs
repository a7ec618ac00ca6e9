//! The settings: times, tags and weight. Loads and handles need them, a hit does not.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprPath};

use super::emitter::Emitter;
use crate::cached::options::Tier;
use crate::input::free_names::{contains_name, free_names};
use crate::parse::time::Time;
use crate::span::{ends, hidden};

impl Emitter<'_> {
    // Output:
    //     { Settings::shared(__shape, const { Lifetimes::from_millis(3600000, 60000) }).__hc_exact().tag({ KEY __key }) }
    pub(super) fn settings(&self, timeout: Option<TokenStream>) -> TokenStream {
        let span = self.return_span();
        let at = hidden(span);
        let private = self.facade.private_at(span);
        let options = &self.function.options;
        let patterns = self.patterns_by_reference();
        let lifetimes = self.lifetimes();
        let new = match options.tier {
            Tier::Both => quote_spanned!(at=> {
                use #private::ladder::*;
                #private::Settings::shared(__shape, #lifetimes).__hc_exact()
            }),
            Tier::Memory => quote_spanned!(at=> #private::Settings::memory_only(__shape, #lifetimes)),
        };
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
            #new #timeout #(#tags)* #weigh
        })
    }

    /// For loads only; a handle has no timeout.
    pub(super) fn timeout(&self) -> Option<TokenStream> {
        self.function.options.timeout.as_ref().map(|timeout| {
            let (at, timeout) = (hidden(ends(timeout).0), duration(timeout));
            quote_spanned!(at=> .timeout(#timeout))
        })
    }

    /// The macro has checked literals, and [`Self::checks`] checks constants: the runtime clamps computed values.
    fn lifetimes(&self) -> TokenStream {
        let options = &self.function.options;
        // `Options::parse` has reported a missing `ttl`.
        let Some(ttl) = &options.ttl else { return TokenStream::new() };
        let fresh_for = options.fresh_for.as_ref();
        let blamed = ends(fresh_for.unwrap_or(ttl)).0;
        let at = hidden(blamed);
        let private = self.facade.private_at(blamed);
        if let (Time::Literal(ttl), Time::Literal(fresh_for)) = (ttl, fresh_for.unwrap_or(ttl)) {
            let (ttl, fresh_for) = (ttl.milliseconds, fresh_for.milliseconds);
            return quote_spanned!(at=> const { #private::Lifetimes::from_millis(#ttl, #fresh_for) });
        }
        let (ttl, fresh_for) = (duration(ttl), optional(fresh_for));
        quote_spanned!(at=> #private::Lifetimes::computed(#ttl, #fresh_for))
    }

    // Output:
    //     const _: () = { let _ = Lifetimes::constant(TTL, Some(Duration::from_millis(5000))); };
    //
    // Emitted in the function only, and not in its handle, so that a constant gives one message.
    pub(super) fn checks(&self) -> TokenStream {
        let options = &self.function.options;
        let Some(ttl) = &options.ttl else { return TokenStream::new() };
        let fresh_for = options.fresh_for.as_ref();
        let mut checks = TokenStream::new();
        let lifetimes = [Some(ttl), fresh_for];
        let times = || lifetimes.into_iter().flatten();
        if times().all(|time| !matches!(time, Time::Computed(_)))
            && times().any(|time| matches!(time, Time::Constant(_)))
        {
            let (ttl_value, fresh_for_value) = (duration(ttl), optional(fresh_for));
            let check = self.check(
                quote!(Lifetimes::constant),
                &quote!(#ttl_value, #fresh_for_value),
                fresh_for.unwrap_or(ttl),
            );
            checks.extend(evaluated(&check, times().all(is_closed)));
        }
        if let Some(timeout @ Time::Constant(_)) = &options.timeout {
            let check = self.check(quote!(constant_timeout), &duration(timeout), timeout);
            checks.extend(evaluated(&check, is_closed(timeout)));
        }
        checks
    }

    /// A call that panics if a constant is out of bounds. Its span is the whole constant.
    fn check(&self, function: TokenStream, arguments: &TokenStream, blamed: &Time) -> TokenStream {
        let (start, end) = ends(blamed);
        let private = self.facade.private_at(start);
        let function: TokenStream = function
            .into_iter()
            .map(|mut token| {
                token.set_span(hidden(start));
                token
            })
            .collect();
        let arguments = quote_spanned!(hidden(end)=> (#arguments));
        quote_spanned!(hidden(start)=> #private::#function #arguments)
    }
}

/// `cargo check` evaluates an item but not a `const` block. An item cannot name the generic parameters of the function or of its
/// type, so a constant that may name one goes into a block.
fn evaluated(check: &TokenStream, is_closed: bool) -> TokenStream {
    let at = hidden(ends(check).0);
    if is_closed {
        quote_spanned!(at=> const _: () = { let _ = #check; };)
    } else {
        quote_spanned!(at=> let () = const { let _ = #check; };)
    }
}

/// Whether a time certainly names no generic parameter. The parameters of the type around a method are not known here.
fn is_closed(time: &Time) -> bool {
    match time {
        Time::Literal(_) => true,
        // A generic parameter can be a number, but not a duration.
        Time::Constant(Expr::Path(ExprPath { path, .. })) => {
            !path.segments.iter().any(|segment| segment.ident == "Self")
        }
        Time::Constant(expression) => !may_be_generic(expression.to_token_stream()),
        Time::Computed(_) => false,
    }
}

/// Whether a single name is written in capitals, as a const parameter is. `limits::SECONDS` is a constant.
fn may_be_generic(tokens: TokenStream) -> bool {
    contains_name(tokens.clone(), "Self") || free_names(tokens).iter().any(|name| !name.chars().any(char::is_lowercase))
}

fn optional(time: Option<&Time>) -> TokenStream {
    match time {
        None => quote!(::core::option::Option::None),
        Some(time) => {
            let (at, time) = (hidden(ends(time).0), duration(time));
            quote_spanned!(at=> ::core::option::Option::Some(#time))
        }
    }
}

fn duration(time: &Time) -> TokenStream {
    match time {
        Time::Literal(literal) => {
            let milliseconds = literal.milliseconds;
            quote_spanned!(hidden(ends(time).0)=> const { ::core::time::Duration::from_millis(#milliseconds) })
        }
        Time::Constant(expression) | Time::Computed(expression) => expression.to_token_stream(),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse::{ParseStream, Parser};

    use super::*;

    #[test]
    fn what_may_name_a_generic_parameter_is_not_closed() {
        let time = |text: &str| (|input: ParseStream| Time::parse("ttl", input)).parse_str(text).expect(text);
        for (text, expected) in [
            ("1h", true),
            ("TTL", true),
            ("limits::TTL", true),
            ("Duration::from_secs(60 * 5)", true),
            ("Duration::from_secs(limits::SECONDS)", true),
            ("Duration::from_secs(SECONDS)", false),
            ("Duration::from_secs(60 * N as u64)", false),
            ("Self::TTL", false),
            ("Duration::from_secs(Self::SECONDS)", false),
        ] {
            assert_eq!(is_closed(&time(text)), expected, "{text}");
        }
    }
}

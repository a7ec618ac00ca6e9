//! The settings: times, tags and weight. Loads and handles need them, a hit does not.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprPath};

use super::emitter::Emitter;
use crate::cached::options::{RefreshAhead, Tier};
use crate::input::free_names::{contains_name, free_names};
use crate::parse::part::Part;
use crate::parse::time::Time;
use crate::span::{ends, hidden};

impl Emitter<'_> {
    // Output:
    //     { Settings::shared(__shape, const { Lifetimes::from_millis(3600000, 60000) }).__hc_exact().tag({ KEY __key }) }
    //
    // `of_loads`: what a handle does not need.
    pub(super) fn settings(&self, of_loads: Option<TokenStream>) -> TokenStream {
        let span = self.return_span();
        let at = hidden(span);
        let private = self.facade.private_at(span);
        let options = &self.function.options;
        let patterns = self.patterns_by_reference();
        let (lifetimes, of_values) = (self.lifetimes(), self.of_values());
        let new = match options.tier {
            Tier::Both if options.codec.is_some() => self.coded(&lifetimes),
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
        let bytes = self.bytes();
        quote_spanned!(at=> {
            #patterns
            #new #of_loads #of_values #(#tags)* #weigh #bytes
        })
    }

    // Output:
    //     { Settings::memory_only(__shape, LIFETIMES).__hc_coded(codec::<Json>()) }
    fn coded(&self, lifetimes: &TokenStream) -> TokenStream {
        let Some(codec) = &self.function.options.codec else { return TokenStream::new() };
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let blamed = ends(codec).0;
        let (start, named) = (hidden(blamed), self.facade.private_at(blamed));
        let marker = quote_spanned!(start=> #named::codec::<#codec>());
        quote_spanned!(at=> {
            use #private::ladder::*;
            #private::Settings::memory_only(__shape, #lifetimes).__hc_coded(#marker)
        })
    }

    /// What the bytes in Redis are like.
    fn bytes(&self) -> TokenStream {
        let options = &self.function.options;
        let at = hidden(self.return_span());
        let uncompressed = (!options.compress).then(|| quote_spanned!(at=> .uncompressed()));
        let max_value = options.max_value.as_ref().map(|bytes| {
            let at = hidden(ends(bytes).0);
            quote_spanned!(at=> .max_value(#bytes))
        });
        quote_spanned!(at=> #uncompressed #max_value)
    }

    /// The options of loads, in a function; a handle has none of them.
    pub(super) fn of_loads(&self) -> TokenStream {
        let options = &self.function.options;
        let timeout = options.timeout.as_ref().map(|timeout| call(quote!(timeout), timeout));
        let min_cost = options.min_cost.as_ref().map(|min_cost| call(quote!(min_cost), min_cost));
        let soft_timeout = options.soft_timeout.as_ref().map(|time| call(quote!(soft_timeout), time));
        let err_ttl = options.err_ttl.as_ref().map(|err_ttl| call(quote!(err_ttl), err_ttl));
        quote!(#timeout #soft_timeout #err_ttl #min_cost)
    }

    /// The options of what is stored, by a load or by a put.
    fn of_values(&self) -> TokenStream {
        let options = &self.function.options;
        let none_ttl = options.none_ttl.as_ref().map(|none_ttl| call(quote!(none_ttl), none_ttl));
        let jitter = options.jitter.as_ref().map(|jitter| {
            let (at, jitter) = (hidden(ends(jitter).0), self.part(jitter));
            quote_spanned!(at=> .jitter(#jitter))
        });
        let ahead = options.refresh_ahead.as_ref().map(|ahead| {
            let (at, ahead) = (hidden(ends(ahead).0), self.refresh_ahead(ahead));
            quote_spanned!(at=> .refresh_ahead(#ahead))
        });
        quote!(#none_ttl #jitter #ahead)
    }

    // Output:
    //     RefreshAhead::Auto
    fn refresh_ahead(&self, ahead: &RefreshAhead) -> TokenStream {
        let blamed = ends(ahead).0;
        let (at, private) = (hidden(blamed), self.facade.private_at(blamed));
        match ahead {
            RefreshAhead::Auto(_) => quote_spanned!(at=> #private::RefreshAhead::Auto),
            RefreshAhead::XFetch(_) => quote_spanned!(at=> #private::RefreshAhead::XFetch),
            RefreshAhead::Part(part) => {
                let part = self.part(part);
                quote_spanned!(at=> #private::RefreshAhead::Part(#part))
            }
        }
    }

    // Output:
    //     Part::Percent(10u8)
    fn part(&self, part: &Part) -> TokenStream {
        let blamed = ends(part).0;
        let (at, private) = (hidden(blamed), self.facade.private_at(blamed));
        match part {
            Part::Percent(percent) => {
                let number = percent.number;
                quote_spanned!(at=> #private::Part::Percent(#number))
            }
            Part::Time(time) => {
                let time = duration(time);
                quote_spanned!(at=> #private::Part::of(#time))
            }
        }
    }

    /// The macro has checked literals, and [`Self::checks`] checks constants: the runtime clamps computed values.
    fn lifetimes(&self) -> TokenStream {
        let options = &self.function.options;
        // `Options::parse` has reported a missing `ttl`.
        let Some(ttl) = &options.ttl else { return TokenStream::new() };
        let fresh_for = options.fresh_for.as_ref().and_then(Part::time);
        let blamed = ends(fresh_for.unwrap_or(ttl)).0;
        let at = hidden(blamed);
        let private = self.facade.private_at(blamed);
        let share = match &options.fresh_for {
            Some(Part::Percent(percent)) => {
                let number = percent.number;
                Some(quote_spanned!(at=> .with_share(#number)))
            }
            _ => None,
        };
        if let (Time::Literal(ttl), Time::Literal(fresh_for)) = (ttl, fresh_for.unwrap_or(ttl)) {
            let (ttl, fresh_for) = (ttl.milliseconds, fresh_for.milliseconds);
            return quote_spanned!(at=> const { #private::Lifetimes::from_millis(#ttl, #fresh_for) #share });
        }
        let (ttl, fresh_for) = (duration(ttl), optional(fresh_for));
        quote_spanned!(at=> #private::Lifetimes::computed(#ttl, #fresh_for) #share)
    }

    // Output:
    //     const _: () = { let _ = Lifetimes::constant(TTL, Some(Duration::from_millis(5000))); };
    //
    // Emitted in the function only, and not in its handle, so that a constant gives one message.
    pub(super) fn checks(&self) -> TokenStream {
        let options = &self.function.options;
        let Some(ttl) = &options.ttl else { return TokenStream::new() };
        let fresh_for = options.fresh_for.as_ref().and_then(Part::time);
        let (times, fresh) = ([Some(ttl), fresh_for], fresh_for.unwrap_or(ttl));
        let (ttl_value, fresh_for_value) = (duration(ttl), optional(fresh_for));
        let lifetimes = self.check(quote!(Lifetimes::constant), &quote!(#ttl_value, #fresh_for_value), fresh, times);
        let timeout = options.timeout.as_ref();
        let alone =
            |name, time: Option<&Time>| time.map(|time| self.check(name, &duration(time), time, [Some(time), None]));
        let beside = |name, time: Option<&Time>, other: &Time| {
            let (time, other_value) = (time?, duration(other));
            let value = duration(time);
            Some(self.check(name, &quote!(#value, #other_value), time, [Some(time), Some(other)]))
        };
        let jitter = options.jitter.as_ref().and_then(Part::time);
        let none_ttl = beside(quote!(constant_none_ttl), options.none_ttl.as_ref(), ttl);
        let jitter = beside(quote!(constant_jitter), jitter, fresh);
        let min_cost = options.min_cost.as_ref().map(|min_cost| {
            let (value, timeout_value) = (duration(min_cost), optional(timeout));
            self.check(quote!(constant_min_cost), &quote!(#value, #timeout_value), min_cost, [Some(min_cost), timeout])
        });
        let ahead = options.refresh_ahead.as_ref().and_then(RefreshAhead::time);
        let ahead = beside(quote!(constant_refresh_ahead), ahead, fresh);
        let timeout = alone(quote!(constant_timeout), timeout);
        let soft_timeout = alone(quote!(constant_soft_timeout), options.soft_timeout.as_ref());
        let err_ttl = alone(quote!(constant_err_ttl), options.err_ttl.as_ref());
        quote!(#lifetimes #timeout #soft_timeout #err_ttl #none_ttl #jitter #ahead #min_cost)
    }

    /// Evaluates a call that panics if a constant is out of bounds, unless all of `times` are literals, which the macro
    /// has checked, or one is known at run time only.
    fn check(
        &self,
        function: TokenStream,
        arguments: &TokenStream,
        blamed: &Time,
        times: [Option<&Time>; 2],
    ) -> TokenStream {
        let times = || times.into_iter().flatten();
        if times().any(|time| matches!(time, Time::Computed(_))) || times().all(|time| matches!(time, Time::Literal(_)))
        {
            return TokenStream::new();
        }
        evaluated(&self.checking(function, arguments, blamed), times().all(is_closed))
    }

    /// A call that panics if a constant is out of bounds. Its span is the whole constant.
    fn checking(&self, function: TokenStream, arguments: &TokenStream, blamed: &Time) -> TokenStream {
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

/// `.timeout(const { Duration::from_millis(20000) })`, reported at the option's value.
fn call(method: TokenStream, time: &Time) -> TokenStream {
    let (at, time) = (hidden(ends(time).0), duration(time));
    let method: TokenStream = method
        .into_iter()
        .map(|mut token| {
            token.set_span(at);
            token
        })
        .collect();
    quote_spanned!(at=> .#method(#time))
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

//! Options that contradict each other. Only literals are compared here; constants are compared by the compiler, see
//! `expand/settings.rs`, and the runtime clamps values that are computed.

use quote::ToTokens;
use syn::Error;

use crate::cached::options::Options;
use crate::errors::Errors;
use crate::parse::part::Part;
use crate::parse::time::Time;

/// Each contradiction is reported at one of the two options, and the message names the way out.
pub(crate) fn check(options: &Options, errors: &mut Errors) {
    let compare = Compare { options };
    let found = [
        compare.fresh_for(),
        compare.refresh_ahead(),
        compare.soft_timeout(),
        compare.none_ttl(),
        compare.jitter(),
        compare.min_cost(),
    ];
    found.into_iter().flatten().for_each(|error| errors.push(error));
}

struct Compare<'a> {
    options: &'a Options,
}

impl Compare<'_> {
    fn fresh_for(&self) -> Option<Error> {
        let (fresh_for, ttl) = (self.options.fresh_for.as_ref()?.time()?, self.options.ttl.as_ref()?);
        (fresh_for.literal()? > ttl.literal()?).then(|| {
            blame(
                fresh_for,
                format!(
                    "`fresh_for` ({}) is longer than `ttl` ({}): a value is first fresh, then stale until `ttl`; are the two \
                     swapped?",
                    text(fresh_for),
                    text(ttl)
                ),
            )
        })
    }

    fn refresh_ahead(&self) -> Option<Error> {
        let lead = self.options.refresh_ahead.as_ref()?.time()?;
        (lead.literal()? >= self.fresh_millis()?).then(|| {
            blame(
                lead,
                format!(
                    "`refresh_ahead` ({}) is not shorter than {}, whose last part it is: each hit would start a refresh; make \
                     it shorter, or write `refresh_ahead = auto`",
                    text(lead),
                    self.fresh_text()
                ),
            )
        })
    }

    /// A value that is never stale needs no time to wait for its refresh.
    fn soft_timeout(&self) -> Option<Error> {
        let Options { soft_timeout, fresh_for, ttl, .. } = self.options;
        let soft_timeout = soft_timeout.as_ref()?;
        let is_never_stale = match fresh_for {
            None => true,
            Some(Part::Percent(_)) => false,
            Some(Part::Time(fresh_for)) => fresh_for.literal()? >= ttl.as_ref()?.literal()?,
        };
        is_never_stale.then(|| {
            let why = match fresh_for {
                None => "there is no `fresh_for`",
                Some(_) => "`fresh_for` is as long as `ttl`",
            };
            blame(
                soft_timeout,
                format!(
                    "`soft_timeout` is for stale values, and no value is ever stale: {why}; write `fresh_for = 80%`, or leave \
                     `soft_timeout` out"
                ),
            )
        })
    }

    fn none_ttl(&self) -> Option<Error> {
        let (none_ttl, ttl) = (self.options.none_ttl.as_ref()?, self.options.ttl.as_ref()?);
        (none_ttl.literal()? > ttl.literal()?).then(|| {
            blame(
                none_ttl,
                format!(
                    "`none_ttl` ({}) is longer than `ttl` ({}), after which every value is gone: make `none_ttl` shorter, or \
                     `ttl` longer",
                    text(none_ttl),
                    text(ttl)
                ),
            )
        })
    }

    fn jitter(&self) -> Option<Error> {
        let jitter = self.options.jitter.as_ref()?.time()?;
        (jitter.literal()? >= self.fresh_millis()?).then(|| {
            blame(
                jitter,
                format!(
                    "`jitter` ({}) is not shorter than {}, which it shortens: make it a smaller part, as in `jitter = 10%`",
                    text(jitter),
                    self.fresh_text()
                ),
            )
        })
    }

    fn min_cost(&self) -> Option<Error> {
        let (min_cost, timeout) = (self.options.min_cost.as_ref()?, self.options.timeout.as_ref()?);
        (min_cost.literal()? >= timeout.literal()?).then(|| {
            blame(
                min_cost,
                format!(
                    "`min_cost` ({}) is not shorter than `timeout` ({}): no value would be stored; make it shorter, or leave \
                     it out",
                    text(min_cost),
                    text(timeout)
                ),
            )
        })
    }

    /// How long a value is fresh, as far as the literals say.
    fn fresh_millis(&self) -> Option<u64> {
        let ttl = self.options.ttl.as_ref().and_then(Time::literal);
        match &self.options.fresh_for {
            None => ttl,
            Some(Part::Percent(percent)) => ttl.map(|ttl| ttl * u64::from(percent.number) / 100),
            Some(Part::Time(fresh_for)) => fresh_for.literal(),
        }
    }

    fn fresh_text(&self) -> String {
        match (&self.options.fresh_for, &self.options.ttl) {
            (Some(fresh_for), _) => format!("`fresh_for` ({})", text(fresh_for)),
            (None, Some(ttl)) => format!("`ttl` ({})", text(ttl)),
            (None, None) => "`ttl`".to_owned(),
        }
    }
}

fn blame(option: &impl ToTokens, message: String) -> Error {
    Error::new_spanned(option, message)
}

/// As the user wrote it.
fn text(option: &impl ToTokens) -> String {
    option.to_token_stream().to_string().replace(" %", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let mut errors = Errors::default();
        let options = Options::parse(text.parse().expect(text), &mut errors);
        check(&options, &mut errors);
        errors.messages()
    }

    #[test]
    fn what_fits_is_no_contradiction() {
        for text in [
            "ttl = 1h, fresh_for = 1m",
            "ttl = 60m, fresh_for = 1h",
            "ttl = 1s, fresh_for = TTL",
            "ttl = 1h, fresh_for = 80%, jitter = 47m",
            "ttl = 1h, none_ttl = 0s",
            "ttl = 1h, refresh_ahead = auto, err_ttl = 2h",
            "ttl = 1h, fresh_for = 10%, refresh_ahead = 5m, soft_timeout = 50ms",
            "ttl = 1h, fresh_for = FRESH, refresh_ahead = 50%, soft_timeout = SOFT",
            "ttl = 1h, none_ttl = 1h",
            "ttl = 1h, jitter = 10%",
            "ttl = 150ms, fresh_for = 80%, jitter = 100ms",
            "ttl = 1h, timeout = 20s, min_cost = 5ms",
        ] {
            assert_eq!(mistakes(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_contradiction_has_one_message_that_names_the_way_out() {
        for (text, expected) in [
            ("ttl = 1h30m, fresh_for = 2h", "`fresh_for` (2h) is longer than `ttl` (1h30m)"),
            ("ttl = 1h, none_ttl = 2h", "make `none_ttl` shorter"),
            ("ttl = 1h, refresh_ahead = 1h", "`refresh_ahead` (1h) is not shorter than `ttl` (1h)"),
            ("ttl = 1h, fresh_for = 10%, refresh_ahead = 6m", "is not shorter than `fresh_for` (10%)"),
            ("ttl = 1h, soft_timeout = 50ms", "there is no `fresh_for`; write `fresh_for = 80%`"),
            ("ttl = 1h, fresh_for = 60m, soft_timeout = 50ms", "`fresh_for` is as long as `ttl`"),
            ("ttl = 1h, jitter = 1h", "not shorter than `ttl` (1h), which it shortens: make it a smaller part"),
            ("ttl = 1h, fresh_for = 1m, jitter = 1m", "not shorter than `fresh_for` (1m)"),
            ("ttl = 1h, fresh_for = 80%, jitter = 48m", "not shorter than `fresh_for` (80%)"),
            ("ttl = 1h, timeout = 1s, min_cost = 1s", "not shorter than `timeout` (1s)"),
        ] {
            let mistakes = mistakes(text);
            assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
            assert!(mistakes[0].contains(expected), "{text}: {mistakes:?}");
        }
    }
}

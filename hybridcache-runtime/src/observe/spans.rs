//! The spans of the slow path. Each is made only where its level is enabled.

use tracing::{Span, debug_span, trace_span};

use super::event::{Keyed, LoadResult};
use super::operation::{Operation, StepResult};
use super::stream::{Stream, Subject};

/// The span in which a load runs: its own, or its caller's where loads have none.
#[derive(Clone, Debug)]
pub(crate) struct LoadSpan {
    span: Span,
    is_own: bool,
}

impl LoadSpan {
    /// `hybridcache::load`, the running of a function's body.
    pub(crate) fn begin(subject: &Subject, key: &dyn Keyed, parent: Span) -> Self {
        let span = debug_span!(
            parent: &parent,
            "hybridcache::load",
            cache = subject.stream.namespace(),
            function = subject.function(),
            cache.key = tracing::field::Empty,
            cache.key_id = tracing::field::Empty,
            result = tracing::field::Empty,
        );
        if span.is_disabled() {
            return Self { span: parent, is_own: false };
        }
        name(&span, subject, key);
        Self { span, is_own: true }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn ended(&self, result: LoadResult) {
        if self.is_own {
            self.span.record("result", result.as_str());
        }
    }
}

/// `hybridcache::refresh`, a background refresh from its beginning to its end: a root span, as the call whose hit started it does not wait
/// for it. Where refreshes have no span, they stay in the span of that call.
pub(crate) fn refresh(subject: &Subject, key: &dyn Keyed, hit: Span) -> Span {
    let span = debug_span!(
        parent: None,
        "hybridcache::refresh",
        cache = subject.stream.namespace(),
        function = subject.function(),
        cache.key = tracing::field::Empty,
        cache.key_id = tracing::field::Empty,
    );
    if span.is_disabled() {
        return hit;
    }
    span.follows_from(&hit);
    name(&span, subject, key);
    span
}

/// A key may contain personal data: its text is shown only where the builder says so.
fn name(span: &Span, subject: &Subject, key: &dyn Keyed) {
    if subject.stream.settings().trace_keys {
        span.record("cache.key", &*key.readable());
    } else {
        span.record("cache.key_id", format!("{:016x}", key.id()));
    }
}

/// `hybridcache::shared`, one step of the protocol, with the field names of OpenTelemetry's conventions for clients of Redis.
pub(super) fn shared(stream: &Stream, operation: Operation, server: impl FnOnce() -> Option<(String, u16)>) -> Span {
    let span = trace_span!(
        "hybridcache::shared",
        otel.kind = "client",
        cache = stream.namespace(),
        db.system.name = "redis",
        db.operation.name = operation.command(),
        db.stored_procedure.name = operation.script(),
        server.address = tracing::field::Empty,
        server.port = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
    );
    if !span.is_disabled()
        && let Some((address, port)) = server()
    {
        span.record("server.address", address);
        span.record("server.port", port);
    }
    span
}

pub(super) fn shared_ended(span: &Span, result: StepResult) {
    if result != StepResult::Ok {
        span.record("error.type", result.as_str());
    }
}

"""The steps of a caller's request, for a collector of OpenTelemetry traces.

Off until `start`: then a request has no trace, nothing of it is stored, and the library is not imported. A trace begins
with a request; its `traceparent` (W3C Trace Context) is kept with the dispatch of a single mail. Each later step, in
whatever process, is a child of that request, recorded when it is over by the part that did it. A trace never has an
address, a subject or a body in it.

Steps wait in memory, at most 2,048, and are sent by a thread of their own; while the collector is away they are lost.
"""

import importlib
import logging
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import structlog

log = structlog.get_logger()
Facts = Mapping[str, str | int | float]
_SEND_S: Final = 5.0
_LAST_S: Final = 2.0  # for what waits when a process ends
_EVERY_MS: Final = 1_000
_request: ContextVar[Any] = ContextVar("traced_request", default=None)
_tracing: "_Tracing | None" = None
_starting: Final = threading.Lock()


def start(url: str | None, *, share: float, part: str) -> None:
    """Send traces to this collector from now on, if there is one. `share`: of the requests that come without a decision
    of their caller's; 0 to 1. Call it after a fork. Once a process: a second call changes nothing."""
    global _tracing
    with _starting:
        if url and _tracing is None:
            _tracing = _Tracing(url, share, part)


def stop() -> None:
    """Send what waits, as far as that is possible within two seconds. Nothing is traced afterwards."""
    global _tracing
    tracing, _tracing = _tracing, None
    if tracing is not None:
        tracing.close()


def is_on() -> bool:
    return _tracing is not None


def begin_request(traceparent: str) -> None:
    """Trace the request that this thread serves from now on. `traceparent`: the caller's header, as it came."""
    if _tracing is not None:
        _request.set(_tracing.begin(traceparent))


def end_request(name: str, facts: Facts) -> None:
    """End the request of this thread."""
    span = _request.get()
    if span is not None:
        _request.set(None)
        span.update_name(name)
        span.set_attributes(facts)
        span.end()


def current() -> str:
    """The traceparent of the request that this thread serves; '' if it is not traced."""
    span = _request.get()
    if span is None or not span.is_recording():
        return ""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def step(trace: str, name: str, facts: Facts, *, seconds: float, linked: str = "") -> None:
    """Record a step that has just ended and took so long. `trace`: of the request, from `current`; '' records nothing.
    `linked`: another request that is a part of this step."""
    tracing = _tracing
    if trace and tracing is not None:
        tracing.record(trace, name, seconds, linked, facts)


class _Tracing:
    """The library, imported when traces are wanted."""

    def __init__(self, url: str, share: float, part: str) -> None:
        def library(name: str) -> Any:
            return importlib.import_module(f"opentelemetry.{name}")

        self._api: Any = library("trace")
        self._propagator: Any = library("trace.propagation.tracecontext").TraceContextTextMapPropagator()
        sampling = library("sdk.trace.sampling")
        exporter = library("exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter(endpoint=url, timeout=_SEND_S)
        self._provider = library("sdk.trace").TracerProvider(
            sampler=sampling.ParentBased(sampling.TraceIdRatioBased(share)),
            resource=library("sdk.resources").Resource.create(
                {"service.name": f"mailroom-{part}", "service.namespace": "mailroom"}
            ),
            shutdown_on_exit=False,
        )
        batches = library("sdk.trace.export").BatchSpanProcessor(
            exporter, max_queue_size=2_048, schedule_delay_millis=_EVERY_MS
        )
        self._provider.add_span_processor(batches)
        self._tracer = self._provider.get_tracer("mailroom")
        for noisy in ("opentelemetry.exporter", "opentelemetry.sdk"):
            logger = logging.getLogger(noisy)
            logger.propagate = False
            logger.addHandler(_OneLine())

    def begin(self, traceparent: str) -> Any:
        return self._tracer.start_span("request", context=self._context(traceparent), kind=self._api.SpanKind.SERVER)

    def record(self, trace: str, name: str, seconds: float, linked: str, facts: Facts) -> None:
        now = time.time_ns()
        links = [self._api.Link(self._api.get_current_span(self._context(linked)).get_span_context())] if linked else []
        span = self._tracer.start_span(
            name,
            context=self._context(trace),
            links=links,
            attributes=facts,
            start_time=now - int(seconds * 1e9),
        )
        span.end(end_time=now)

    def close(self) -> None:
        """In a thread, because the library may wait for a collector that is away longer than we want to."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        closing.start()
        closing.join(_LAST_S)

    def _context(self, traceparent: str) -> Any:
        return self._propagator.extract({"traceparent": traceparent})


class _OneLine(logging.Handler):
    """The library's words about a collector that is away, as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            log.warning("traces_not_sent", error=record.getMessage()[:300])

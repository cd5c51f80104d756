"""Spans and metrics of OpenTelemetry in memory, and a server to call."""

import re

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jsonrpcc import otel
from jsonrpcc.testing import Error


def fail(code):
    raise Error(code, "it failed")


METHODS = {"add": lambda a=0, b=0, **_: a + b, "fail": fail, "note": lambda: None}


class Telemetry:
    def __init__(self, sampler=None):
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler=sampler)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def instrument(self, client, **options):
        otel.instrument(
            client,
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            **options,
        )

    def spans(self):
        return list(self.exporter.get_finished_spans())

    def counts(self):
        """The calls by method and error, of the one histogram that there is."""
        [resource] = self.reader.get_metrics_data().resource_metrics
        [scope] = resource.scope_metrics
        [metric] = scope.metrics
        assert (metric.name, metric.unit) == (otel.DURATION, "s")
        assert metric.data.data_points[0].explicit_bounds == otel.BOUNDARIES
        return {
            (
                point.attributes[otel.METHOD],
                point.attributes.get(otel.ERROR),
            ): point.count
            for point in metric.data.data_points
        }


def context_of(request, how):
    raw = request.raw.decode()
    if how == "member":
        return re.search(r'"params":\{[^}]*\},"traceparent":"([^"]*)"', raw)[1]
    return request.params["_meta"]["traceparent"]

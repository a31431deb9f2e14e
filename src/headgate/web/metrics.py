"""Counters for Prometheus, read when they are asked for: nothing is counted a second time for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headgate.web.desk import Figures

CONTENT_TYPE = CONTENT_TYPE_LATEST

COUNTERS = {  # of the edge: the attribute, and what it is
    "received": "Datagrams received.",
    "blocks": "Blocks served.",
    "payload_bytes": "Bytes of packages served.",
    "last_blocks": "Downloads served to the end.",
    "handed_over": "Datagrams handed to the control plane.",
    "ring_full": "Messages that found the handover ring full.",
    "sent": "Datagrams sent.",
    "send_failed": "Datagrams that could not be sent.",
    "send_blocked": "Datagrams that found the send buffer full.",
    "receive_errors": "Receive calls that failed.",
    "events_lost": "Events of downloads that a slow reader did not get.",
}
GAUGES = {
    "devices": "Devices registered.",
    "tasks": "Tasks that are not over.",
    "campaigns": "Campaigns that are not through.",
    "packages": "Packages that are there.",
    "clock_behind_s": "Seconds that the wall clock is ahead of the server's.",
}

HOOK_GAUGES = {
    "pending": "Events that are to be delivered to web hooks.",
    "dead": "Events that were given up and can be replayed.",
    "overflowing": "Web hooks for which no more events are kept.",
}
HOOK_COUNTERS = {
    "delivered": "Events that web hooks have taken.",
    "failed": "Deliveries to web hooks that failed.",
    "given_up": "Events whose last delivery failed.",
    "lost": "Events that were not kept, as too many wait already.",
}


class Metrics(Collector):
    """What the server counts, under the names that Prometheus keeps it by."""

    def __init__(self, figures: Callable[[], Figures], now: Callable[[], float]) -> None:
        self._figures = figures
        self._now = now
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.web: Counter[str] = Counter()
        """What the API counts of itself, by what happened."""
        self.viewers = 0

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: the server is asked when it runs."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        figures = self._figures()
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"headgate_edge_{name}", text, getattr(figures.edge, name))
        yield labelled("headgate_edge_answered", "Replies by code.", "code", figures.edge.answered)
        yield labelled("headgate_edge_dropped", "Datagrams dropped, by cause.", "cause", figures.edge.dropped)
        yield GaugeMetricFamily("headgate_edge_grants", "Downloads permitted.", figures.edge.grants)
        yield labelled("headgate_pump", "What went between the rooms.", "what", figures.pump)
        yield labelled("headgate_lwm2m", "What the LwM2M server met.", "what", figures.lwm2m)
        yield labelled("headgate_orchestrator", "What the orchestrator met.", "what", figures.orchestrator)
        for name, text in HOOK_GAUGES.items():
            yield GaugeMetricFamily(f"headgate_hooks_{name}", text, figures.hooks[name])
        for name, text in HOOK_COUNTERS.items():
            yield CounterMetricFamily(f"headgate_hooks_{name}", text, figures.hooks[name])
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"headgate_{name}", text, getattr(figures, name))
        since_s = figures.store_failing_since_s
        failing_s = 0.0 if since_s is None else self._now() - since_s
        yield GaugeMetricFamily(
            "headgate_store_failing_s", "Seconds for which nothing could be stored.", failing_s
        )
        yield labelled("headgate_web", "Requests of the API, and what became of them.", "what", self.web)
        yield GaugeMetricFamily("headgate_web_viewers", "Who follows the events.", self.viewers)


def labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    """One counter for each name."""
    family = CounterMetricFamily(name, text, labels=[label])
    for each, count in counts.items():
        family.add_metric([each], count)
    return family

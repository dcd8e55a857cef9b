"""A metric as `result.json` has it: `{mean, ci95: [low, high] or "exact" or null, n, unit}`.

The only place that decodes `ci95`. What it says is then `Metric.low`, `.high`, `.half_width` and
`.exact`; a metric that was read has no values per replication.
"""

from __future__ import annotations

from analysis.statistics.intervals import Metric
from reports.results import shapes
from reports.results.damage import Json

__all__ = ["Metric", "as_json", "from_json"]


def from_json(node: Json) -> Metric:
    """The metric of a JSON object; raises DamagedError, which names the key that is wrong."""
    return shapes.read(Metric, node)


def as_json(metric: Metric) -> Json:
    """The JSON object of a metric."""
    return shapes.dump(metric)

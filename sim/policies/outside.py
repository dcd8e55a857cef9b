"""Values of policies from outside the package, for a process that runs the model for another one.

A process that is started anew knows the package's values only. It is told of the others before its
first unit: each travels as its class's name and its fields, so the class stands in a module that
the other process can import.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping

from sim.errors import SpeskewError
from sim.policies.bundle import VALUES
from sim.policies.values import Policy


class OutsideError(SpeskewError):
    """A value of a policy cannot be told to another process."""


Change = tuple[tuple[Policy, ...], tuple[str, ...]]
"""Values that were added, and words that were taken away."""


def changed() -> Mapping[str, Change]:
    """What is not as the package has it, by the policy's name."""
    return {name: found for name, values in VALUES.items() if any(found := values.changes())}


def packed() -> bytes:
    """`changed` for another process; raises OutsideError for a value that it could not have."""
    found = changed()
    for name, (added, _) in found.items():
        for value in added:
            kind = type(value)
            if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
                raise OutsideError(
                    f"{name}: {value.word}: its class {kind.__qualname__} cannot be found by other "
                    "processes; put it at the top of a module of its own, or run with one process "
                    "(-j 1)"
                )
    return pickle.dumps(found)


def adopt(data: bytes) -> None:
    """Have the same values as the process that `packed` them."""
    for name, (added, removed) in pickle.loads(data).items():
        values = VALUES[name]
        for value in [v for v in values if v.word in removed]:
            values.remove(value)
        for value in added:
            values.add(value)

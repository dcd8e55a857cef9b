"""What is kept by object: not by value, and not for another one in its place."""

from __future__ import annotations

from sim.cache.identity import by_identity

ASKED: list[int] = []


@by_identity(2)
def _size(rows: list[int]) -> int:
    ASKED.append(len(rows))
    return len(rows)


def test_each_object_is_asked_once() -> None:
    """Equal objects are two; the last ones are kept; a freed place is nobody's."""
    ASKED.clear()
    one, same = [1], [1]
    assert [_size(one), _size(one), _size(same)] == [1, 1, 1]
    assert ASKED == [1, 1]
    assert [_size([0] * k) for k in range(100)] == list(range(100))
    assert _size(one) == 1
    assert len(ASKED) == 103

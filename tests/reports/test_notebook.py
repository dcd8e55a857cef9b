"""Progress in a notebook."""

from __future__ import annotations

from reports import notebook


def test_a_line_of_progress_is_escaped() -> None:
    """Names of arms come from scenarios."""
    line = notebook.HowFar(1, 0, "<b>", 2.0)
    assert repr(line) == "1/0 <b>, 2 s"
    assert line._repr_html_() == (
        '<div><progress value="1" max="1"></progress> 1/0 &lt;b&gt;, 2 s</div>'
    )
    assert not notebook.in_kernel()

"""The summary: what it says of each kind of arm."""

from __future__ import annotations

from dataclasses import replace

from analysis.statistics.answers import Kind
from reports.pages import glance, summary
from reports.results.arms import verdict, verdict_words
from reports.text import printable
from tests.rigs.fakes import OPS, Plan
from tests.rigs.samples import EVIL, PLANS, SYMBOLS, changed, described


def lines(name: str, plans: tuple[Plan, ...] = PLANS) -> dict[str, str]:
    """Sections of one arm as text."""
    return {k: "\n".join(v) for k, v in summary.sections(name, described(plans))}


def test_every_section_is_labelled_a_prediction() -> None:
    """No number is shown without the word."""
    result = described()
    for name in result.arm_order:
        assert all(t.startswith("predicted ") for t, _ in summary.sections(name, result))
    assert glance.HEAD[0] == "predicted"


def test_summary_fits_its_width_and_a_screen_per_arm() -> None:
    """At most 100 columns; at most 40 lines an arm; the same text each time."""
    text = summary.render(described())
    assert max(len(line) for line in text.splitlines()) <= summary.WIDTH
    assert len(text.splitlines()) < 40 * len(PLANS)
    assert text == summary.render(described())


def test_loss_is_given_by_cause() -> None:
    """Percent and ops, all replications."""
    found = lines("baremetal")["predicted loss"]
    assert "1,000 of 10,000,000 ops" in found
    assert "irq_delivery_full 0.01 % (1,000 ops)" in found


def test_harmless_loss_is_called_harmless() -> None:
    """Said of an arm that loses what baremetal loses, not of one that loses 500 times as much."""
    assert "Loss is not skew" in lines("v6")["predicted loss"]
    assert "Loss is not skew" not in lines("unpinned-cold")["predicted loss"]
    assert "Loss is not skew" not in lines("refused")["predicted loss"]


def test_skew_words() -> None:
    """Skewed, cannot tell, too short, the same; what baremetal has to do with it."""
    arms = described().arms
    assert verdict(arms["unpinned-cold"]).kind is Kind.SKEWED
    assert verdict(arms["baremetal"]).kind is Kind.OPEN
    assert verdict(arms["v6"]).kind is Kind.SHORT
    assert verdict(arms["refused"]).kind is Kind.SHORT
    assert "ended at operation 1,000" in verdict_words(arms["refused"])
    assert "its samples are baremetal's own" in lines("v6")["predicted skew"]
    many = {"samples": 400_000, "symbols": SYMBOLS}
    same = lines("baremetal", (Plan(**many),))["predicted skew"]  # type: ignore[arg-type]
    assert same.startswith("the same within ±1 %")
    assert "none detected" not in summary.render(described())


def test_time_added_by_cause() -> None:
    """10⁶ ticks of pinning at 3 GHz are 0.00521 ms, and the band that they lie in is told."""
    found = lines("v6")["predicted time"]
    assert "pin +0.00521 ms" in found
    assert "UNVERIFIED" in found
    assert "0.554 to 15.1 ms" in found  # 5,160 pages: 10.08 batches of 512
    assert "UNVERIFIED" not in lines("unpinned-cold")["predicted time"]


def test_a_band_with_one_end_is_not_told() -> None:
    """The run at one end executed other ops: no range, and no traceback."""
    found = changed(described(), v6={"time_band.total.low_ms": 0.1}).arms["v6"]
    assert list(summary.end_of_band_lines(found)) == []
    found = changed(described(), v6={"time_band.total.high_ms": 0.1}).arms["v6"]
    assert list(summary.end_of_band_lines(found)) == []


def test_exits_name_the_number_41() -> None:
    """Where exits are shown, the clash of numbers is told."""
    assert "KVM_EXIT_ARM_SEA" in lines("v6")["predicted exits"]
    assert "predicted exits" not in lines("baremetal")
    assert "2 MiB locked" in lines("v6")["predicted memory"]
    assert "8 MiB" in lines("v6")["predicted memory"]


def test_too_large_windows_are_told() -> None:
    """How many, why the event ended, and what to change; nothing if there were none."""
    result = described()
    assert "vm.max_buffer" not in " ".join(summary.exit_lines(result.arms["v6"]))
    result = changed(result, v6={"rlimit.oversize_windows": 3})
    said = " ".join(summary.exit_lines(result.arms["v6"]))
    assert "3 of these enables had a window larger than vm.max_buffer" in said


def test_unmapping_stands_beside_the_published_rate() -> None:
    """1,024 pages in 6.4 s to 60 s; 67,000/s is 419 times the fastest."""
    found = lines("unpinned-cold")["predicted unmapping"]
    assert "17.1 to 160 pages/s" in found
    assert "UPPER BOUND: 419 times" in found
    assert "UPPER BOUND" in summary.render(described())


def test_early_end_has_its_reason() -> None:
    """Op and reason."""
    assert lines("refused")["predicted end"] == "ended at op 1,000 of 1,000,000: the VMM refused"
    assert "predicted end" not in lines("v6")


def test_hostile_names_are_harmless() -> None:
    """No control character of a symbol name reaches the terminal."""
    text = summary.render(described())
    assert all(c.isprintable() or c == "\n" for c in text)
    assert printable(EVIL).endswith("\\x1b[31m\\u202e")
    assert printable("a" * 20 + "b" * 30, 10) == "aaaaa…bbbb"


def test_interruption_is_told() -> None:
    """The mark is in the head."""
    assert "INTERRUPTED" in summary.render(described(PLANS[:1], interrupted=True))


def test_one_symbol_is_not_a_profile_that_could_be_identical() -> None:
    """With half of the samples gone all distances by symbol are 0: not said to be baremetal's own,
    unless instruction by instruction they are."""
    only: dict[str, object] = {"symbols": ("only",), "shares": (1.0,), "truth": (1.0,)}
    base = Plan(**only)  # type: ignore[arg-type]
    half = replace(base, name="half", design="v6", samples=500, seed=5)
    arms = described((base, half, replace(base, name="same", design="v6"))).arms
    assert arms["half"].skew.baremetal.symbol.mean == 0
    assert not arms["half"].skew.identical
    assert arms["half"].skew.level == "pc"
    assert arms["same"].skew.identical


def test_unproven_weights_are_badged() -> None:
    """In the heading of each arm that has them, and with their source at the top of all forms."""
    result = changed(
        described(),
        baremetal={"setup.selection": "one data set"},
        v6={"setup.selection": f"one {EVIL} set"},
    )
    assert summary.HARDWARE_LIKE in summary.heading("v6", result.arms["v6"], False)
    assert summary.HARDWARE_LIKE not in summary.heading("refused", result.arms["refused"], False)
    first, second = summary.doubts(result)
    assert first == f"{summary.HARDWARE_LIKE} in baremetal: weights from one data set"
    assert second == f"{summary.HARDWARE_LIKE} in v6: weights from one {printable(EVIL)} set"
    assert summary.doubts(described()) == []
    text = summary.render(result)
    assert "weights from one data set" in text
    assert max(len(line) for line in text.splitlines()) <= summary.WIDTH


def test_a_run_of_hardly_any_ops_has_no_time_added() -> None:
    """Starting the event is all of its time: too short to tell, in table and summary."""
    result = changed(described(), v6={"setup.interval_ops": OPS // 10})
    (row,) = (row for row in glance.rows(result) if row[0] == "v6")
    assert row[glance.HEAD.index("time added")] == "too short to tell"
    said = list(summary.time_lines(result.arms["v6"], result.arms["baremetal"]))
    assert "too short to tell" in said[0]
    assert "2.33 %" in next(
        iter(summary.time_lines(described().arms["v6"], result.arms["baremetal"]))
    )


def test_populating_memory_stands_apart() -> None:
    """It is in no total, so not among the causes that make it up."""
    band: dict[str, object] = {"here_ms": 996.0, "low_ms": None, "high_ms": None}
    result = changed(described(), v6={"time_band.prefault": band | {"unmapping_ms": None}})
    said = list(summary.time_lines(result.arms["v6"], result.arms["baremetal"]))
    (causes,) = (line for line in said if line.startswith("by cause"))
    assert "prefault" not in causes
    assert any("takes 996 ms, once" in line and "in no total" in line for line in said)


def test_what_a_virtual_arm_met_is_told() -> None:
    """Full buffers and unmapped pages; and how long an event lives that died."""
    assert "met 0 full buffers, 150 unmapped pages" in lines("unpinned-cold")["predicted skew"]
    assert "full buffers" not in lines("baremetal")["predicted skew"]
    life = {"died": 6, "events": 8, "mean_s": 0.31, "low_s": 0.16, "high_s": 0.81}
    result = changed(described(), v6={"life": life})
    said = " ".join(summary.loss_lines(result.arms["v6"], None))
    assert "the event dies after 0.31 s of profiling [0.16, 0.81] (6 of 8 events)" in said

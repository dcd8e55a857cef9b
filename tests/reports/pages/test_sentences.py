"""Three sentences per arm, and report.md: what they say of each kind of arm, hostile names too."""

from __future__ import annotations

import re

from reports.figures import readings
from reports.pages import sentences
from reports.runs import datasets
from reports.text import percent
from tests.rigs.fakes import Plan
from tests.rigs.samples import PLANS, arms, changed, described, scenario, tables


def said(name: str, plans: tuple[Plan, ...] = PLANS) -> tuple[str, str, str]:
    """The sentences of one arm."""
    return sentences.of_arm(name, described(plans), tables(plans))


def test_reference_arm() -> None:
    """Loss with its cause, distance from the truth, what the handler costs."""
    loss, skew, cost = said("baremetal")
    assert loss.startswith("baremetal loses 0.01 % (all 10 equal) of the operations")
    assert "all of it while the interrupt of a full buffer was on its way" in loss
    assert skew.startswith("Whether its profile is skewed by instruction one cannot tell (it could")
    assert "nothing is pinned" in cost


def test_pinned_arm() -> None:
    """Compared with baremetal; identical; memory and exits; no band, for none was run."""
    loss, skew, cost = said("v6")
    assert loss.endswith("; baremetal loses 0.01 %.")
    assert skew.startswith("The run is too short to tell (it met 0 full buffers")
    assert "baremetal's own" not in skew  # it has met too little to say so
    assert cost.startswith(
        "It adds 2.33 % (all 10 equal) of time, 100 % of it on pinning, and locks"
    )
    assert "locks 2 MiB of 8 MiB allowed at the start" in cost
    assert "(KVM_EXIT_RLIMIT fires 2 times per replication, in 10 enables)" in cost


def test_band_is_told() -> None:
    """Between the lowest and the highest end, unmapping included; in the reading too."""
    found, result = arms(), described()
    ends = {"low_ms": 0.1, "high_ms": 1.0, "unmapping_ms": 2.0}
    result = changed(
        result, v6={f"time_band.{c}.{k}": x for c in ("pin", "total") for k, x in ends.items()}
    )
    banded = datasets.collect(scenario(found), found, result, {})
    wall = result.arms["baremetal"].wall.value
    low, high = percent(0.1 / wall), percent(2.0 / wall)
    assert f"({low} to {high} over UNVERIFIED times)" in sentences.of_arm("v6", result, banded)[2]
    assert readings.perturbation(banded).endswith(f"v6 lies anywhere from {low} to {high}.")


def test_biased_arm() -> None:
    """An upper bound is called one, and a skewed profile skewed."""
    loss, skew, cost = said("unpinned-cold")
    assert loss.startswith("As an upper bound, unpinned-cold loses 5 %")
    assert skew.startswith("Its profile is skewed by 9.2 % [6.5, 11.5] by instruction: in step")
    assert "UNVERIFIED" not in cost
    assert "locks no memory" in cost


def test_arms_without_a_profile() -> None:
    """Ended early, or without samples: no verdict, with the reason."""
    assert "ended at operation 1,000 of 1,000,000: the VMM refused" in said("refused")[1]
    assert said("silent")[1] == "It has no samples, so it has no profile."
    assert "not compared" in said("refused")[2]
    assert "should sample until it ends, all of it" in said("refused")[0]


def test_refused_configurations_are_told() -> None:
    """-ENOMEM is no exit, and no silence either."""
    result = changed(described(), v6={"rlimit.exits": 0, "rlimit.config_enomem": 10})
    cost = sentences.of_arm("v6", result, tables())[2]
    assert "(KVM_EXIT_RLIMIT never fires; configuration fails once per replication)" in cost


def test_causes_of_the_loss_are_told_by_their_parts() -> None:
    """All of it; nearly all; the two that matter; a small third one is left out."""
    result = described()
    lost = result.arms["unpinned-cold"].ledger.ops["irq_delivery_full"]
    fault, full = "the interrupt of a stage 2 fault was", "the interrupt of a full buffer was"
    for parts, text in (
        ({"full": lost}, f", all of it while {full}"),
        ({"full": lost - 1, "fault": 1}, f", nearly all of it while {full}"),
        ({"full": 35, "fault": 65}, f", 65 % of it while {fault} on its way and 35 % while {full}"),
        ({"full": 5, "fault": 95}, f", 95 % of it while {fault} on its way; baremetal"),
    ):
        ops = {f"ledger.ops.irq_delivery_{c}": parts.get(c, 0) for c in ("full", "fault")}
        told = sentences.of_arm("unpinned-cold", changed(result, unpinned_cold=ops), tables())
        assert text in told[0]


def test_a_program_of_one_symbol_is_judged_by_instruction() -> None:
    """Where it can be wrong."""
    only: dict[str, object] = {"symbols": ("only",), "shares": (1.0,), "truth": (1.0,)}
    plans = (Plan(**only), Plan(name="v6", design="v6", samples=500, seed=5, **only))  # type: ignore[arg-type]
    assert re.search(r"by instruction one cannot tell \(.*\): in step", said("baremetal", plans)[1])


def test_memory_that_is_populated_before_is_in_no_time() -> None:
    """The band is a part of baremetal's time, as the time added is."""
    found, result = arms(), described()
    ends = {"low_ms": 0.1, "high_ms": 1.0, "unmapping_ms": None}
    result = changed(
        result, v6={f"time_band.{c}.{k}": x for c in ("pin", "total") for k, x in ends.items()}
    )
    before = datasets.collect(scenario(found), found, result, {})
    wall = result.arms["v6"].ledger.time["wall"]
    populated = changed(result, v6={"ledger.time.prefault": wall, "ledger.time.wall": 2 * wall})
    after = datasets.collect(scenario(found), found, populated, {})
    costs = [sentences.of_arm("v6", result, of)[2] for of in (before, after)]
    assert costs[0] == costs[1] == sentences.of_arm("v6", populated, after)[2]


def test_too_large_windows_are_the_reason() -> None:
    """An event that a buffer size event disabled: said so, and only then."""
    plans = (Plan(), Plan(name="v6", design="v6", lost=1000))
    result = described(plans)
    lost = result.arms["v6"].ledger.ops["irq_delivery_full"]
    moved: dict[str, object] = {
        "ledger.ops.event_disabled": lost,
        "ledger.ops.irq_delivery_full": 0,
    }
    result = changed(result, v6=moved)
    assert "buffer size event" not in sentences.of_arm("v6", result, tables(plans))[0]
    result = changed(result, v6={"rlimit.oversize_windows": 3})
    loss = sentences.of_arm("v6", result, tables(plans))[0]
    assert "after the event was disabled by a buffer size event (its windows are larger" in loss


def test_noise_is_not_skew() -> None:
    """An arm that samples like baremetal, with other draws: the same, and as baremetal's."""
    quiet: dict[str, object] = {"driver": {"capture": "snapshot"}}
    v6 = Plan(name="v6", design="v6", seed=3, samples=400_000, settings=quiet)
    loss, skew, _ = said("v6", (Plan(samples=400_000), v6))
    assert loss == "v6 loses no operation."
    assert skew == (
        "Its profile is the truth's, the same within ±1 %; on average it is the same within ±1 % "
        "as baremetal's."
    )


def test_every_sentence_is_one() -> None:
    """Three of them, each ending with a full stop, none empty."""
    for plan in PLANS:
        found = said(plan.name)
        assert len(found) == 3
        assert all(re.search(r"\w.*\.$", s) for s in found)

"""The host as scenario models: limits, and what it does to guest memory."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from sim.scenario.models.quantities import Rate, SizeOrUnlimited, Slice, Time, text_default
from sim.scenario.models.strict import Strict


class PoissonUnmap(Strict):
    """Pages of the AUX buffer unmapped at random."""

    poisson: Rate = Field(description="pages per second and vCPU")


def _unmap_form(value: object) -> str:
    return "rate" if isinstance(value, (dict, PoissonUnmap)) else "word"


Unmap = Annotated[
    Annotated[Literal["never", "published", "per_window", "per_record"], Tag("word")]
    | Annotated[PoissonUnmap, Tag("rate")],
    Discriminator(_unmap_form),
]


class Scan(Strict):
    """Pages touched at a published rate."""

    kind: Literal["numa_balancing", "ksm", "khugepaged", "compaction", "reclaim", "ageing"] = Field(
        description="numa_balancing: PROT_NONE, pinned or not (t_numa_sweep); ksm: merging, an "
        "upper bound (t_ksm_pass); khugepaged: collapse of 2 MiB (t_thp_collapse); compaction: "
        "moving pages (t_compaction); reclaim: swap-out, read back at t_swap_in (t_reclaim); "
        "ageing: the access flag is cleared, pinned or not, whatever the notifiers (t_ageing), "
        "which the SPU sets again or not (spe.flag_updates). "
        "numa_balancing and ksm take a pinned page's stage 2 entry too, compaction and reclaim "
        "only with vm.memory_kind: shared, khugepaged never",
    )


class Balloon(Strict):
    """Free guest pages are given back to the host, which splits the huge pages that hold them."""

    kind: Literal["ballooning", "free_page_reporting"] = Field(
        description="ballooning: virtio-balloon inflates (t_balloon); free_page_reporting: the "
        "guest reports free chunks, which are whole huge pages but with a granule of 64 KiB "
        "(t_free_page_report). Free pages only, never the buffer's: without vm.huge_pages nothing "
        "happens; with it, the block that maps a neighbour and a page of the buffer goes, once. "
        "buffer.physical says which pages have neighbours; stage 1 table pages lie alone",
    )


class MemslotChange(Strict):
    """The VMM replaces the memslot that holds the buffer: a real unmap."""

    kind: Literal["memslot_change"] = Field(description="the memslot is replaced")
    every: Slice = Field(description="time between two changes")


class LiveMigration(Strict):
    """The VM moves to another host while it is profiled."""

    kind: Literal["live_migration"] = Field(description="the VM moves to another host")
    start: Time = Field(description="when the dirty log is started, wall time since the vCPUs run")
    rounds: int = Field(
        default=3, ge=1, le=1000, description="pre-copy rounds; each write-protects all pages again"
    )
    round: Slice = Field(description="length of a round: dirty memory over bandwidth")
    post_copy: bool = Field(
        default=False, description="switch over after one round; pages follow at t_remote each"
    )


Pressure = Annotated[Scan | Balloon | MemslotChange | LiveMigration, Field(discriminator="kind")]


class Host(Strict):
    """The host's limits and what it does to guest memory."""

    memlock: SizeOrUnlimited = Field(
        default=text_default("8MiB"), description="RLIMIT_MEMLOCK of the VMM, soft"
    )
    memlock_hard: SizeOrUnlimited = Field(
        default=text_default("unlimited"), description="RLIMIT_MEMLOCK of the VMM, hard"
    )
    cap_ipc_lock: bool = Field(
        default=False, description="the VMM has CAP_IPC_LOCK: no limit holds for it"
    )
    cap_sys_resource: bool = Field(
        default=False, description="may the VMM raise its limit above the hard one"
    )
    unmap: Unmap = Field(
        default="never",
        description="published: NUMA balancing at its published rate; per_window: every page, each "
        "time a window is enabled (upper bound); per_record: after every record; "
        "{poisson: RATE}: pages at random",
    )
    pressure: tuple[Pressure, ...] = Field(
        default=(),
        max_length=16,
        strict=False,
        description="more that the host does to guest memory, any number of kinds, each at most "
        "once",
    )

    @model_validator(mode="after")
    def _each_kind_once(self) -> Host:
        kinds = [p.kind for p in self.pressure]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice:
            raise ValueError(f"pressure: {twice} is there twice; keep one of them")
        return self

"""Designs: bundles of small policies, and the presets that the mailing lists have named.

A preset says what a series or an idea does where its text says so. Where the text is silent the
choice is a policy that a scenario can override, and `questions` lists it. "v6" is KVM SPE RFC v6 of
14 November 2025 and so on; "2022" is the design thread of April to September 2022.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from sim import units
from sim.scenario.strict import Strict

UNPIN_RULES = ("on_disable", "on_next_enable", "never")
_AFTER = "after:"


def unpin_after(rule: str) -> int | None:
    """Picoseconds of `after:TIME`; None for the other rules."""
    return units.parse_time(rule.removeprefix(_AFTER)) if rule.startswith(_AFTER) else None


def _unpin_rule(rule: str) -> str:
    if rule not in UNPIN_RULES and not rule.startswith(_AFTER):
        from sim.scenario.messages import suggest

        raise ValueError(suggest(rule, [*UNPIN_RULES, "after:TIME"]))
    unpin_after(rule)
    return rule


UnpinRule = Annotated[
    str,
    AfterValidator(_unpin_rule),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(UNPIN_RULES)}|after:.+)$"}),
]


class Policies(Strict):
    """A design as a bundle of policies. `virtual: false` is baremetal."""

    virtual: bool = Field(default=True, description="false: baremetal, all else is ignored")
    backing: Literal[
        "none", "whole_vm", "on_enable", "on_first_fault", "bounce_buffer", "guest_memfd"
    ] = Field(
        default="none",
        description="keeps the buffer mapped: nothing; all guest memory locked before it runs; a "
        "pin when the guest enables it; a pin when it first faults; a buffer of KVM's own, copied "
        "out; all guest memory pre-faulted in guest_memfd",
    )
    unpin: UnpinRule = Field(
        default="on_disable",
        description="when a pin ends: on_disable, on_next_enable, never, or after:TIME disabled",
    )
    stage2_fault: Literal["fix_and_resume", "pin_then_resume", "inject_error"] = Field(
        default="fix_and_resume",
        description="KVM maps and resumes, pins the window and resumes, or tells the guest",
    )
    injected: Literal["external_abort", "imp_def"] = Field(
        default="external_abort",
        description="what inject_error reports: a stage 1 external abort (v5), or an "
        "IMPLEMENTATION DEFINED buffer event (2022)",
    )
    injected_dl: bool = Field(
        default=False, description="does the injected event say DL = 1, data loss"
    )
    fix_scope: Literal["page", "walk"] = Field(
        default="walk", description="what a fix maps: the page alone, or its table pages too"
    )
    notifiers: Literal["honour_all", "unmap_only", "ignore"] = Field(
        default="honour_all",
        description="MMU notifiers that take a pinned page's stage 2 entry: all, only a real "
        "unmap, or (guest_memfd) none, pinned or not",
    )
    lost_pin: Literal["as_fault", "inject_error"] = Field(
        default="as_fault",
        description="what a fault gets once a real unmap (a memslot change) has taken the pins "
        "away: what any fault gets (stage2_fault), or an error for the guest (2022)",
    )
    pin_maps: Literal["pages", "blocks"] = Field(
        default="pages",
        description="stage 2 entries of what is pinned: pages, as v5 made them, or the blocks "
        "that huge pages allow, which go as a whole if a neighbour goes (vm.huge_pages)",
    )
    unmap_on_unpin: bool = Field(
        default=False, description="unpinning removes the stage 2 entries (t_unmap each)"
    )
    interrupt: Literal["forced_exit", "next_exit"] = Field(
        default="forced_exit",
        description="who notices PMBIRQ: an exit of its own, or the next ordinary one",
    )
    pmbsr_sync: Literal["every_exit", "irq_only"] = Field(
        default="every_exit",
        description="when KVM takes the hardware's PMBSR: at every exit, or when PMBIRQ makes it "
        "exit; with irq_only a trap can read a stale PMBSR",
    )
    traps: Literal["buffer_registers", "none"] = Field(
        default="buffer_registers",
        description="what the guest's accesses to PMBPTR, PMBLIMITR and PMBSR cost: a trap each, "
        "or nothing",
    )
    copy_out: Literal["on_full", "on_pmbptr_read"] = Field(
        default="on_full",
        description="when a bounce buffer is copied to the guest: full or disabled, or when the "
        "guest reads PMBPTR",
    )
    accounting: Literal["high_water_mark", "per_pin", "none"] = Field(
        default="none", description="how locked memory is charged"
    )
    accounting_scope: Literal["vm", "vcpu"] = Field(
        default="vcpu", description="whose high-water mark it is"
    )
    window_limit: Literal["max_buffer", "none"] = Field(
        default="none",
        description="is there a largest window: vm.max_buffer, charged at configuration and "
        "enforced with a buffer size event (v6), or none",
    )
    charge: Literal["whole", "incremental"] = Field(
        default="whole", description="all that is needed at once, or page by page until the limit"
    )
    retry: Literal["reexecute", "pending_on_entry"] = Field(
        default="reexecute",
        description="after KVM_EXIT_RLIMIT: the trapped write again, or KVM on entry",
    )
    vmm: Literal["raise", "refuse_kill", "reenter", "run_unpinned", "error_state"] = Field(
        default="raise",
        description="the VMM's answer to KVM_EXIT_RLIMIT: raise the limit, destroy the VM, enter "
        "again unchanged, go on without a pin, or let the guest's session fail",
    )
    vmm_raise: Literal["by_excess", "double", "to_hard"] = Field(
        default="by_excess", description="how far it lifts the limit"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Policies:
        first, pins = self.backing == "on_first_fault", self.stage2_fault == "pin_then_resume"
        why = ""
        if first and not pins:
            why = "on_first_fault pins when a fault is answered; use stage2_fault: pin_then_resume"
        elif pins and not first and self.backing != "on_enable":
            why = (
                f"pin_then_resume pins a window, but backing: {self.backing} has no pins of "
                "windows; use backing: on_first_fault or on_enable"
            )
        if why:
            keys = ("stage2_fault", "backing") if pins else ("backing", "stage2_fault")
            raise PydanticCustomError("incoherent", "{text}", {"text": why, "found": [(keys, why)]})
        return self


class Design(NamedTuple):
    """A preset: its policies, what it is, who says so, and what nobody says."""

    policies: Policies
    what: str
    source: str
    questions: tuple[str, ...] = ()


_V6 = Policies(
    backing="on_enable",
    notifiers="unmap_only",
    pmbsr_sync="irq_only",
    accounting="high_water_mark",
    window_limit="max_buffer",
)
_V6_SILENT = (
    "response to a stage 2 fault: stage2_fault",
    "the moment of unpinning: unpin (indirect evidence for on_disable)",
    "the notifier rule in code: notifiers",
    "a real unmap while the buffer is enabled: lost_pin (an error is inferred from 2022)",
    "whether a pin maps huge pages as blocks: pin_maps",
    "what a window beyond vm.max_buffer gets: a buffer size event here, fatal to today's driver, "
    "which does not read PMBIDR.MaxBuffSize: window_limit",
    "batching, and whether unpinning unmaps: t_pin, t_map_cold, t_map_present, unmap_on_unpin",
    "what happens when the VMM refuses: vmm; where the vCPU goes on after the exit: retry",
)
_V7 = Policies(backing="guest_memfd", notifiers="ignore", unpin="never")
_V7_SILENT = (
    "response to a stage 2 fault: stage2_fault",
    "locked-memory accounting: accounting",
    "when PMBSR is brought up to date: pmbsr_sync (v6: by PMBIRQ only)",
    "which buffer registers trap: traps (see v7-guest-memfd-untrapped)",
)

DESIGNS: dict[str, Design] = {
    "baremetal": Design(
        Policies(virtual=False),
        "No hypervisor: the buffer is mapped, PMBIRQ is taken at EL1.",
        "Arm ARM D17; drivers/perf/arm_spe_pmu.c",
    ),
    "unpinned": Design(
        Policies(),
        "Nothing is pinned: KVM maps the faulting page and resumes, the guest never knows. An "
        "idea, called not feasible in its thread; no series implements it.",
        "2022, option 2 in M. Zyngier's variant",
        ("how often DL = 1, which voids the buffer: spe.data_loss_per_mille",),
    ),
    "unpinned-error": Design(
        Policies(stage2_fault="inject_error"),
        "Nothing is pinned, and a fault is reported as RFC v3 to v5 report an unexpected one: a "
        "synthetic external abort, which today's guest driver treats as fatal.",
        "v5 33/38, without its locked memory",
    ),
    "first-fault": Design(
        Policies(
            backing="on_first_fault",
            stage2_fault="pin_then_resume",
            unpin="on_next_enable",
            notifiers="unmap_only",
            accounting="high_water_mark",
            window_limit="max_buffer",
        ),
        "The whole window is pinned when its first record faults; a warm buffer never is.",
        "2022, option 4 (O. Upton)",
        (
            "accounting: only that ulimit must be respected",
            "unpin: with the next pin is inferred",
            "whether a window has a largest size, as in v6: window_limit",
        ),
    ),
    "v3-mlock": Design(
        Policies(
            backing="whole_vm", unpin="never", stage2_fault="inject_error", accounting="per_pin"
        ),
        "The VMM locks all guest memory with mlock() and KVM maps it before the guest runs. "
        "mlock() does not keep stage 2 mapped: every notifier still unmaps.",
        "v3, Oct 2020",
        ("that the VMM's own mlock limit applies is inferred", "which registers trap: traps"),
    ),
    "v5-memslot-lock": Design(
        Policies(
            backing="whole_vm", unpin="never", stage2_fault="inject_error", accounting="per_pin"
        ),
        "The VMM locks whole memslots: pinned and mapped page by page, charged to RLIMIT_MEMLOCK "
        "(-ENOMEM, no exit). Notifiers are not filtered, hence its !NUMA_BALANCING.",
        "v5 02/38, 03/38 and 33/38, Nov 2021; v4 is taken to do the same",
    ),
    "v6": Design(
        _V6,
        "Walk, charge, pin and map buffer and stage 1 tables when the guest enables the buffer; "
        "unpin when it disables it; high-water mark and KVM_EXIT_RLIMIT.",
        "v6 26/35, 29/35, 32/35 and 33/35, Nov 2025",
        _V6_SILENT,
    ),
    "v6-lazy-unpin": Design(
        _V6.model_copy(update={"unpin": "on_next_enable"}),
        "v6, but a pin outlives the disable until the next enable moves it (or after a time, or "
        "for ever: unpin).",
        "J. Clark, 9 Jan 2026; A. Elisei, 12 Jan 2026 (attribution inferred); not written",
        _V6_SILENT,
    ),
    "bounce-buffer": Design(
        Policies(backing="bounce_buffer"),
        "The SPU writes a buffer of KVM's own, which never faults; KVM copies it to the guest when "
        "it is full or profiling stops (vm.bounce: its size).",
        "A. Elisei's prototype, 23 Nov 2022; M. Rutland and A. Elisei, Jan 2023",
        ("accounting of KVM's buffer", "when to copy: copy_out", "copying costs: t_copy"),
    ),
    "v7-guest-memfd": Design(
        _V7,
        "guest_memfd backs the VM and all of it is pre-faulted before the first run; its notifiers "
        "are ignored, nothing is pinned or charged.",
        "v7, Sep 2026 (read in a digest)",
        _V7_SILENT,
    ),
    "v7-guest-memfd-untrapped": Design(
        _V7.model_copy(update={"traps": "none"}),
        "v7 if the guest's buffer registers do not trap.",
        "v7, Sep 2026 (read in a digest); the trap set is unknown",
        _V7_SILENT,
    ),
}
"""Preset name → design."""

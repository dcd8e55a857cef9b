"""Designs: bundles of small policies, and the presets that the mailing lists have named.

A preset says what a series or an idea does where its text says so. Where the text is silent the
choice is a policy that a scenario can override, and `questions` lists it. "v6" is KVM SPE RFC v6 of
14 November 2025 and so on; "2022" is the design thread of April to September 2022.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from sim.cache.identity import by_identity
from sim.policies.answers import RAISES, VMMS
from sim.policies.backings import BACKINGS
from sim.policies.bundle import Bundle
from sim.policies.exceptions import EXCEPTIONS, POINTERS
from sim.policies.faults import FIX_SCOPES, INJECTED, NOTIFIERS, RESPONSES
from sim.policies.limits import ACCOUNTING_SCOPES, ACCOUNTINGS, CHARGES, RETRIES, WINDOW_LIMITS
from sim.policies.pins import LOST_PINS, PIN_MAPS, UNPINS
from sim.policies.registers import COPY_OUTS, INTERRUPTS, PMBSR_SYNCS, TRAPS
from sim.policies.values import Values
from sim.scenario.models.strict import Strict
from sim.scenario.words import suggest


class Word:
    """The word of one of a policy's values, as the list of them stands when it is read."""

    def __init__(self, values: Values[Any]) -> None:
        self.values = values

    @property
    def words(self) -> tuple[str, ...]:
        """What a scenario may say."""
        return self.values.words

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Read it, and keep the word."""
        return core_schema.no_info_plain_validator_function(self._word)

    def __get_pydantic_json_schema__(self, _: Any, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The words, or a pattern if one takes an argument."""
        if self.values.open:
            patterns = "|".join(value.pattern for value in self.values)
            return {"type": "string", "pattern": f"^({patterns})$"}
        return {"type": "string", "enum": list(self.values.words)}

    def _word(self, word: Any) -> str:
        values = self.values
        if not values.open:
            if isinstance(word, str) and values.get(word):
                return word
            raise PydanticKnownError("literal_error", {"expected": _any_of(values.words)})
        if not isinstance(word, str):
            raise PydanticKnownError("string_type")
        if values.get(word) is None:
            raise ValueError(suggest(word, values.words))
        return word


def _any_of(words: tuple[str, ...]) -> str:
    """As pydantic lists what a Literal may be."""
    *most, last = [repr(word) for word in words]
    return f"{', '.join(most)} or {last}" if most else last


class Policies(Strict):
    """A design as a bundle of policies. `virtual: false` is baremetal."""

    virtual: bool = Field(
        default=True, description="false: baremetal, all else but exceptions is ignored"
    )
    backing: Annotated[str, Word(BACKINGS)] = Field(default="none", description=BACKINGS.meaning)
    unpin: Annotated[str, Word(UNPINS)] = Field(default="on_disable", description=UNPINS.meaning)
    stage2_fault: Annotated[str, Word(RESPONSES)] = Field(
        default="fix_and_resume", description=RESPONSES.meaning
    )
    injected: Annotated[str, Word(INJECTED)] = Field(
        default="external_abort", description=INJECTED.meaning
    )
    injected_dl: bool = Field(
        default=False, description="does the injected event say DL = 1, data loss"
    )
    fix_scope: Annotated[str, Word(FIX_SCOPES)] = Field(
        default="walk", description=FIX_SCOPES.meaning
    )
    notifiers: Annotated[str, Word(NOTIFIERS)] = Field(
        default="honour_all", description=NOTIFIERS.meaning
    )
    lost_pin: Annotated[str, Word(LOST_PINS)] = Field(
        default="as_fault", description=LOST_PINS.meaning
    )
    pin_maps: Annotated[str, Word(PIN_MAPS)] = Field(default="pages", description=PIN_MAPS.meaning)
    unmap_on_unpin: bool = Field(
        default=False, description="unpinning removes the stage 2 entries (t_unmap each)"
    )
    exceptions: Annotated[str, Word(EXCEPTIONS)] = Field(
        default="pmbirq", description=EXCEPTIONS.meaning
    )
    pointers: Annotated[str, Word(POINTERS)] = Field(default="va", description=POINTERS.meaning)
    interrupt: Annotated[str, Word(INTERRUPTS)] = Field(
        default="forced_exit", description=INTERRUPTS.meaning
    )
    pmbsr_sync: Annotated[str, Word(PMBSR_SYNCS)] = Field(
        default="every_exit", description=PMBSR_SYNCS.meaning
    )
    traps: Annotated[str, Word(TRAPS)] = Field(
        default="buffer_registers", description=TRAPS.meaning
    )
    copy_out: Annotated[str, Word(COPY_OUTS)] = Field(
        default="on_full", description=COPY_OUTS.meaning
    )
    accounting: Annotated[str, Word(ACCOUNTINGS)] = Field(
        default="none", description=ACCOUNTINGS.meaning
    )
    accounting_scope: Annotated[str, Word(ACCOUNTING_SCOPES)] = Field(
        default="vcpu", description=ACCOUNTING_SCOPES.meaning
    )
    window_limit: Annotated[str, Word(WINDOW_LIMITS)] = Field(
        default="none", description=WINDOW_LIMITS.meaning
    )
    charge: Annotated[str, Word(CHARGES)] = Field(default="whole", description=CHARGES.meaning)
    retry: Annotated[str, Word(RETRIES)] = Field(default="reexecute", description=RETRIES.meaning)
    vmm: Annotated[str, Word(VMMS)] = Field(default="raise", description=VMMS.meaning)
    vmm_raise: Annotated[str, Word(RAISES)] = Field(default="by_excess", description=RAISES.meaning)

    @property
    def bundle(self) -> Bundle:
        """The policies themselves: what they do, and what must be known of them."""
        return _bundle(self)

    @model_validator(mode="after")
    def _coherent(self) -> Policies:
        backing, response = BACKINGS[self.backing], RESPONSES[self.stage2_fault]
        why = ""
        if backing.pins_at_fault and not response.pins:
            pinning = " or ".join(other.word for other in RESPONSES if other.pins)
            why = f"{self.backing} pins when a fault is answered; use stage2_fault: {pinning}"
        elif response.pins and not backing.pins_windows:
            best_first = sorted(BACKINGS, key=lambda other: not other.pins_at_fault)
            pinned = " or ".join(other.word for other in best_first if other.pins_windows)
            why = (
                f"{self.stage2_fault} pins a window, but backing: {self.backing} has no pins of "
                f"windows; use backing: {pinned}"
            )
        if why:
            keys = ("stage2_fault", "backing") if response.pins else ("backing", "stage2_fault")
            raise PydanticCustomError("incoherent", "{text}", {"text": why, "found": [(keys, why)]})
        return self


@by_identity(256)
def _bundle(policies: Policies) -> Bundle:
    return Bundle.of({name: getattr(policies, name) for name in Policies.model_fields})


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
    "whether what is pre-faulted stays mapped: KVM_PRE_FAULT_MEMORY for arm64 (v5, Aug 2026) does "
    "not guarantee it; here it does (host.pressure: ageing takes access flags all the same)",
    "migration of guest_memfd folios (RFC, Jun 2026), which notifiers that are ignored would not "
    "see: none here",
    "dirty logging of slots that are guest_memfd only (RFC, Jul 2026): host.pressure, "
    "live_migration logs them",
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
        "are ignored, nothing is pinned or charged. As of Sep 2026: an RFC whose prerequisites are "
        "not merged; there is no maximum buffer size and no KVM_EXIT_RLIMIT any more.",
        "v7, 3 Sep 2026 (read in a digest)",
        _V7_SILENT,
    ),
    "v7-guest-memfd-untrapped": Design(
        _V7.model_copy(update={"traps": "none"}),
        "v7 if the guest's buffer registers do not trap.",
        "v7, 3 Sep 2026 (read in a digest); the trap set is unknown",
        _V7_SILENT,
    ),
    "spe-exc": Design(
        _V6.model_copy(update={"exceptions": "profiling"}),
        "v6 on a core with FEAT_SPE_EXC: a full buffer is the guest's own exception, without an "
        "exit or an injection; a stage 2 fault is EL2's, in PMBSR_EL2. No interrupt mask holds "
        "either. Asynchronous still: the CPU runs on after S = 1.",
        "Arm ARM, FEAT_SPE_EXC (J1.1.1.50, J1.1.1.95, J1.1.1.100); no series uses it",
        (
            "whether the guest's kernel lets it in (PMSCR_EL1.KE): exceptions",
            "how long it takes: t_profiling_exception",
            "the guest's handler, for which no driver exists: as for PMBIRQ",
            *_V6_SILENT,
        ),
    ),
    "spe-nvm": Design(
        _V6.model_copy(update={"pointers": "ipa"}),
        "v6 on a core with FEAT_SPE_nVM, whose guest programs intermediate physical addresses: no "
        "stage 1 walk, and no table is pinned, charged or missed.",
        "Arm ARM, FEAT_SPE_nVM (PMBLIMITR_EL1.nVM); v6 does not advertise it",
        (
            "where a driver gets a buffer that is contiguous in guest memory",
            *_V6_SILENT,
        ),
    ),
}
"""Preset name → design."""

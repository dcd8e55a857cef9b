"""Invariants under any order of events: of the locked-memory account, and of whole machines whose
host and VMM interfere at random instants. Each invariant has a mutant that it catches.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sim.host.pressure import Touch
from sim.kvm.memlock import Account
from sim.ledger import LawBrokenError
from sim.linux.aux import Geometry
from sim.linux.driver import DriverRules
from sim.machine.machine import ENGINES, Machine
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, UnmapSpec
from sim.scenario.models.designs import DESIGNS
from sim.spe.buffer import SLOT64
from sim.spe.filter import Filter
from sim.spe.select import Jitter
from sim.workload.arrays import LEVEL_STRIDE, Stream
from tests.exact import random_machines as made
from tests.exact.mutants import Mutant, build, install, mutant
from tests.rigs.machines import table, vary

PAGE = made.PAGE
VCPUS = 3
QUICK = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
)
BRIEF = settings(QUICK, max_examples=80, stateful_step_count=10)
UNTIL_CAUGHT = settings(BRIEF, max_examples=600)
"""A mutant is caught by the first example that tells it: one in some thirty, for the rarest."""

vcpus = st.integers(0, VCPUS - 1)
pages = st.integers(0, 12)


class AccountRules(RuleBasedStateMachine):
    """Any number of vCPUs pin, unpin and are refused; somebody moves the limit."""

    account_class: Callable[..., Any] = Account

    def __init__(self) -> None:
        super().__init__()
        self.account: Any = None
        self.mark = 0
        self.held: dict[int, int] = {}

    @initialize(limit=st.integers(0, 30), high_water=st.booleans(), per_vm=st.booleans())
    def opened(self, limit: int, high_water: bool, per_vm: bool) -> None:
        """A new VM."""
        self.account = self.account_class(
            limit=limit * PAGE,
            hard_limit=1 << 62,
            cap_ipc_lock=False,
            high_water=high_water,
            per_vm=per_vm,
            enforced=True,
            now=lambda: 0,
        )

    @rule(vcpu=vcpus, need=pages)
    def pin(self, vcpu: int, need: int) -> None:
        """A charge succeeds, or changes nothing and says by how much the limit is too low."""
        account, before = self.account, self.account.locked
        excess = account.pin(vcpu, need * PAGE)
        if excess == 0:
            assert account.locked in (before, *range(account.limit + 1)), "over the limit"
            self.held[vcpu] = need
            return
        assert excess > 0
        assert account.locked == before, "a failed charge was kept"
        self._others_are_untouched(vcpu)
        account.set_limit(account.limit + excess)
        assert account.pin(vcpu, need * PAGE) == 0, "raised by the excess, it fails again"
        self.held[vcpu] = need

    def _others_are_untouched(self, refused: int) -> None:
        """What another vCPU has pinned can be charged again without growing."""
        for vcpu, need in self.held.items():
            if vcpu != refused:
                before = self.account.locked
                assert self.account.pin(vcpu, need * PAGE) == 0, "another vCPU was refused"
                assert self.account.locked == before, "another vCPU's charge was forgotten"

    @rule(vcpu=vcpus)
    def unpin(self, vcpu: int) -> None:
        """A disable edge."""
        self.account.hold(vcpu, 0)
        self.held[vcpu] = 0

    @rule(limit=st.integers(0, 60))
    def setrlimit(self, limit: int) -> None:
        """Upwards or downwards; what is charged stays. Never under it, so that pinning the same
        again is no growth for `per_pin` either."""
        self.account.set_limit(max(limit * PAGE, self.account.locked))

    @invariant()
    def the_mark_never_falls(self) -> None:
        """VmLck of a high-water mark only rises; per pin it is what is pinned."""
        if self.account is None:
            return
        if self.account.high_water:
            assert self.account.locked >= self.mark, "VmLck fell"
            assert self.account.locked >= PAGE * max(self.held.values(), default=0)
            self.mark = self.account.locked
        else:
            assert self.account.locked == PAGE * sum(self.held.values())

    def teardown(self) -> None:
        """The VM ends: nothing is charged any more."""
        if self.account is not None:
            self.account.release()
            assert self.account.locked == 0, "still charged after the VM"


@cache
def _streams() -> list[tuple[Stream, MachineSpec]]:
    """Short streams with a machine each, whose designs and limits the rules replace."""
    found: list[tuple[Stream, MachineSpec]] = []
    seed = 70_000
    while len(found) < 24:
        r = random.Random(seed)
        stream = made.stream(r, dense=False)
        if 1000 <= stream.ops <= 3000:
            found.append((stream, made.spec(r, stream, dense=True)))
        seed += 1
    return found


OFTEN = [
    "unpinned",
    "v6",
    "first-fault",
    "v6-lazy-unpin",
    "unpinned",
    "v6",
    "v5-memslot-lock",
    "bounce-buffer",
    "v7-guest-memfd",
    "baremetal",
    "unpinned-error",
]
"""Designs to choose from; those whose pins and faults interact more than once."""


class MachineRules(RuleBasedStateMachine):
    """Two engines run the same machine; the same hand interferes with both at the same instants."""

    engines: ClassVar = dict(ENGINES)

    def __init__(self) -> None:
        super().__init__()
        self.machines: list[Machine] = []
        self.now = 0
        self.mark = 0
        self.at_stop: dict[tuple[int, int], int] = {}

    @initialize(seed=st.integers(0, 1 << 32))
    def booted(self, seed: int) -> None:
        """A random machine of a design, two vCPUs if it is a VM."""
        r = random.Random(seed)
        stream, spec = r.choice(_streams())
        design, limit = r.choice(OFTEN), r.choice([1 << 20, 1 << 20, 4, 12])
        vmm = r.choice(["raise", "raise", "run_unpinned", "error_state", "refuse_kill"])
        notifiers = r.choice(["honour_all", "unmap_only"])
        unpin = r.choice(["on_disable", "on_disable", "on_next_enable", "never"])
        accounting = r.choice(["per_pin", "high_water_mark"])
        policies = DESIGNS[design].policies
        if policies.virtual:
            changed = {"vmm": vmm, "notifiers": notifiers}
            if policies.backing in ("on_enable", "on_first_fault"):
                changed |= {"unpin": unpin, "accounting": accounting}
            policies = policies.model_copy(update=changed)
        spec = vary(
            spec,
            policies=policies,
            vcpus=2 if policies.virtual else 1,
            memlock=limit * PAGE,
            memlock_hard=1 << 62,
            cap_ipc_lock=False,
            max_buffer=1 << 62,
            unmap=UnmapSpec("never"),
            interval=2,
            period=2,
            jitter=Jitter.OFF,
            resync=False,
            data_loss_per_mille=1000,
            pressures=(),
            balloons=(),
            migration=None,
            memslot_changes=0,
            physical_cpus=0,
            switch_ticks=40_000 if spec.task.switch_ticks else 0,
            exits=None,
            in_flight=4,
            layout=SLOT64,
            reader=None,
            aux=Geometry(8 * PAGE, PAGE, 2 * PAGE),
            rules=DriverRules(),
            snapshot=False,
            random_start=False,
            irq_latency=table((160, 640)),
            filter=Filter(np.ones(stream.statics * LEVEL_STRIDE, np.uint8), 0),
        )
        run = Run("x", 11, 0, keep_records=True, keep_log=True)
        self.machines = [
            Machine(spec, (stream,), run, factory) for factory in self.engines.values()
        ]
        self.done = [machine.start() for machine in self.machines]

    @rule(ticks=st.sampled_from([16, 1600, 9600, 20_000, 50_000]))
    def time_passes(self, ticks: int) -> None:
        """Everything up to an instant happens."""
        self._pass(ticks)

    def _pass(self, ticks: int) -> None:
        self.now += ticks
        for machine, done in zip(self.machines, self.done, strict=True):
            if not done.triggered:
                machine.engine.run(until=self.now)

    @rule(first=st.integers(0, 7))
    def host_invalidates(self, first: int) -> None:
        """A notifier for each page from `first` on; the design may refuse, then a pin must hold."""
        for machine in self.machines:
            policies = machine.spec.policies
            for vcpu in machine.vcpus:
                if vcpu.stage2 is None or vcpu.cpu.ended_at >= 0:
                    continue
                stage2, target = vcpu.stage2, machine.host.targets[vcpu.index]
                safe = np.flatnonzero(stage2.pins & stage2.mapped)
                for page in range(first, stage2.tables.pages):
                    machine.host.touch(target, page, Touch.ZAP)
                if policies.notifiers == "unmap_only":
                    assert stage2.mapped[safe].all(), "a pinned page was unmapped"

    @rule(now=st.booleans(), after=st.sampled_from([9600, 20_000]))
    def host_unmaps(self, now: bool, after: int) -> None:
        """A real unmap, or another memslot: no pin survives it. Now and then."""
        self._pass(after)
        for vcpu in (v for machine in self.machines for v in machine.vcpus if now):
            if vcpu.stage2 is not None and vcpu.cpu.ended_at < 0:
                vcpu.hypervisor.drop_stage2()  # type: ignore[union-attr]
                assert not vcpu.stage2.pins.any()

    @rule(first=st.integers(0, 7))
    def host_discards_neighbours(self, first: int) -> None:
        """The huge pages of a part of the buffer go, whatever is pinned in them."""
        for machine in self.machines:
            for vcpu in machine.vcpus:
                if vcpu.stage2 is not None and vcpu.cpu.ended_at < 0:
                    for page in range(first, vcpu.stage2.tables.total):
                        machine.host.touch(machine.host.targets[vcpu.index], page, Touch.BLOCK)

    @rule(
        remote=st.booleans(),
        ticks=st.sampled_from([0, 64, 9600]),
        after=st.sampled_from([1600, 20_000]),
    )
    def vm_moves(self, remote: bool, ticks: int, after: int) -> None:
        """To another host, in the middle of anything; with its memory or without."""
        self._pass(after)
        for machine in self.machines:
            if machine.spec.policies.virtual:
                machine.vm.pause(ticks)
                machine.vm.arrive(remote=remote)
        self.mark = 0

    @rule(pages_more=st.integers(-4, 8))
    def vmm_sets_its_limit(self, pages_more: int) -> None:
        """Another thread of the VMM, or an administrator."""
        for machine in self.machines:
            account = machine.account
            account.set_limit(max(account.locked, account.limit + pages_more * PAGE))

    @invariant()
    def nothing_is_recorded_while_s_is_set(self) -> None:
        """With S = 1 the SPU writes nothing, however long that lasts."""
        for spu in (vcpu.spu for machine in self.machines for vcpu in machine.vcpus):
            if spu.pmbsr.s:
                written = spu.sampler.written()
                assert self.at_stop.setdefault((id(spu), spu.stops), written) == written

    @invariant()
    def the_mark_never_falls(self) -> None:
        """VmLck of a high-water mark only rises."""
        for machine in self.machines[:1]:
            if machine.spec.policies.accounting == "high_water_mark":
                assert machine.account.locked >= self.mark, "VmLck fell"
                self.mark = machine.account.locked

    def teardown(self) -> None:
        """To the end: ledgers balance (asserted by the run), nothing is pinned or charged, and the
        engines say the same."""
        if not self.machines:
            return
        said = []
        for machine, done in zip(self.machines, self.done, strict=True):
            if not done.triggered:
                machine.engine.run(done)
            self._charged_is_pinned(machine)
            said.append(made.everything(machine.finish()))
            assert machine.account.locked == 0, "still charged after the VM"
            for vcpu in machine.vcpus:
                assert vcpu.stage2 is None or not vcpu.stage2.pins.any(), "a pin was leaked"
        assert not [name for name, value in said[0].items() if said[1][name] != value]

    def _charged_is_pinned(self, machine: Machine) -> None:
        """Per pin, with no charge on its way: the account is what is pinned."""
        policies = machine.spec.policies
        pinning = policies.backing in ("on_enable", "on_first_fault") and not machine.vm.killed
        if pinning and policies.accounting == "per_pin":
            held = (v.stage2 for v in machine.vcpus if v.stage2)
            pinned = sum(int(s.pins.sum() + s.elsewhere.sum()) for s in held)
            assert machine.account.locked == PAGE * pinned, "charged is not what is pinned"


def test_the_account_in_any_order() -> None:
    """The laws of locked memory hold for every sequence of charges, refusals and limits."""
    run_state_machine_as_test(AccountRules, settings=QUICK)


def test_machines_under_any_interference() -> None:
    """Random designs, host invalidations and limits, at random instants."""
    run_state_machine_as_test(MachineRules, settings=BRIEF)


# --- controls --------------------------------------------------------------------------------

TABLES = "sim.kvm.tables"
MEMLOCK, HYP, FAST, SPU = (
    "sim.kvm.memlock",
    "sim.kvm.hypervisor",
    "sim.spe.fast",
    "sim.spe.reference",
)
PAGES = "sim.kvm.pages"
SHARED = {HYP: "Hypervisor", PAGES: "Pages", TABLES: "Stage2"}
ACCOUNT_MUTANTS = [
    mutant("a mark that falls", MEMLOCK, "max(self._highest.get(vcpu, 0), size)", "size"),
    mutant("a failed charge is kept", MEMLOCK, "self._current[vcpu] = before"),
    mutant(
        "a failed charge raises the mark",
        MEMLOCK,
        "self._current[vcpu] = before",
        "self._raise_to(vcpu, need)",
    ),
    mutant(
        "a refusal forgets the other vCPUs",
        MEMLOCK,
        "self._current[vcpu] = before",
        "self._current.clear()",
    ),
    mutant(
        "the excess is a page short",
        MEMLOCK,
        "max(0, wanted - self.limit)",
        "max(0, wanted - self.limit - 4096)",
    ),
    mutant(
        "a success has an excess", MEMLOCK, "max(0, wanted - self.limit)", "wanted - self.limit"
    ),
    mutant(
        "a mark outlives its VM",
        MEMLOCK,
        "self._highest.clear()\n        self._vm_highest = self._reserved = 0",
        "pass",
    ),
    mutant(
        "a pin outlives its VM",
        MEMLOCK,
        "self._current.clear()\n        self._highest.clear()",
        "self._highest.clear()",
    ),
]
MACHINE_MUTANTS = [
    mutant("a pin is leaked", PAGES, "pins[gone] = 0"),
    mutant(
        "an unmap leaves pins in the books",
        PAGES,
        "self._held = 0\n        return gone",
        "return gone",
    ),
    mutant(
        "pins outlive the VM",
        TABLES,
        "self._pins.values(), self.elsewhere):\n            pins[:] = 0",
        "self._pins.values(), self.elsewhere):\n            pass",
    ),
    mutant(
        "an unpin is not uncharged",
        PAGES,
        "self.vm.account.hold(self.payer(vcpu), held * self.granule)",
    ),
    mutant(
        "the SPU goes on with S = 1",
        SPU,
        "self._enabled = False\n        self._on_stop(stop, op)",
        "self._on_stop(stop, op)",
    ),
    mutant("the engines part", FAST, "self._state[:] = self._saved"),
    mutant(
        "voided records stay delivered", HYP, "self.cpu.ledgers.delivery.voided_by_DL += voided"
    ),
]


@pytest.mark.parametrize("one", ACCOUNT_MUTANTS, ids=lambda one: one.name)
def test_the_account_rules_catch(one: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken account breaks an invariant."""
    broken = build(one.module, one.old, one.new)
    monkeypatch.setattr(AccountRules, "account_class", broken.__dict__["Account"])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(AccountRules, settings=settings(QUICK, max_examples=600))


@pytest.mark.parametrize("one", MACHINE_MUTANTS, ids=lambda one: one.name)
def test_the_machine_rules_catch(one: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken part breaks an invariant, a law or the engines' agreement."""
    broken = build(one.module, one.old, one.new).__dict__
    if one.module in SHARED:
        part = SHARED[one.module]
        install(part, broken[part], monkeypatch)
    else:
        names = {FAST: ("fast", "MacroSampler"), SPU: ("reference", "SampleTimer")}
        engine, part = names[one.module]
        monkeypatch.setattr(MachineRules, "engines", ENGINES | {engine: broken[part]})
    with pytest.raises((AssertionError, LawBrokenError, RuntimeError, IndexError)):
        run_state_machine_as_test(MachineRules, settings=UNTIL_CAUGHT)

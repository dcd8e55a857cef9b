"""The machine: builds vCPUs, VM and host from a design, runs one replication, returns its result.

`simulate` is the one entry point of the model. Nothing below this module reads time units from a
scenario. A part gets what it needs when it is made, and no part is changed from outside afterwards:
first the host and the VM, then each vCPU (`sim.machine.vcpu`), then what the host does to them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

from simpy.events import AllOf

from sim.engine import FOREVER, Engine
from sim.host.migration import migrate
from sim.host.pressure import Host
from sim.host.scheduler import share_cpus
from sim.host.vmm import answer_enomem
from sim.kvm.memlock import Account
from sim.kvm.notifiers import GuestBuffer
from sim.kvm.vm import Vm, VmSizes
from sim.machine.disturbances import pressures
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, zaps_records, zaps_windows
from sim.machine.vcpu import SamplerFactory, Shared, Vcpu
from sim.results import RlimitCounts, RunResult
from sim.spe.fast import MacroSampler
from sim.spe.reference import SampleTimer
from sim.workload.arrays import Stream

ENGINES: dict[str, SamplerFactory] = {"reference": SampleTimer, "fast": MacroSampler}


class Machine:
    """One arm's hardware and software, ready to run."""

    def __init__(
        self, spec: MachineSpec, streams: tuple[Stream, ...], run: Run, factory: SamplerFactory
    ) -> None:
        self.spec, self.run_spec = spec, run
        self.policies = spec.policies.bundle
        self.engine = Engine()
        self.host = Host(self.engine, zaps_windows(spec))
        self.account = self._account()
        self.vm = self._vm()
        shared = Shared(spec, run, self.engine, self.vm)
        self.vcpus: list[Vcpu] = []
        for index in range(spec.vcpus):
            vcpu = Vcpu(shared, index, streams[index % len(streams)], factory)
            self.vcpus.append(vcpu)
            self._press_on(vcpu)
        if spec.policies.virtual:
            self._configure()
            self._start_host()

    # --- construction --------------------------------------------------------------------

    def _account(self) -> Account:
        vm, policies = self.spec.vm, self.policies
        return Account(
            limit=vm.memlock,
            hard_limit=vm.memlock_hard,
            cap_ipc_lock=vm.cap_ipc_lock,
            high_water=policies.accounting.high_water,
            per_vm=policies.accounting_scope.per_vm,
            enforced=policies.accounting.charges,
            now=lambda: self.engine.now,
        )

    def _vm(self) -> Vm:
        spec, vm = self.spec, self.spec.vm
        limit = vm.max_buffer if self.policies.window_limit.limits else FOREVER
        sizes = VmSizes(vm.memory, limit, vm.bounce, vm.unpin_after, spec.spu.layout.max_size)
        running = self.engine.signal()
        return Vm(self.policies, vm.kvm, self.account, self.host, sizes, running)

    def _press_on(self, vcpu: Vcpu) -> None:
        """What the host does to one vCPU."""
        if vcpu.hypervisor is None or vcpu.stage2 is None:
            return
        policies, sampler = self.policies, vcpu.spu.sampler
        self.host.add(
            vcpu.index,
            GuestBuffer(policies, vcpu.stage2, sampler, vcpu.hypervisor),
            pressures(self.spec.host, vcpu.stage2.tables, vcpu.key),
        )

    def _start_host(self) -> None:
        """What the host does to the VM as a whole."""
        host, cpus = self.spec.host, self.vm.cpus
        if host.migration is not None:
            self.engine.process(migrate(self.engine, self.host, self.vm, host.migration))
        if 0 < host.physical_cpus < len(cpus):
            self.engine.process(share_cpus(self.engine, cpus, host.physical_cpus, host.host_slice))

    # --- configuration -------------------------------------------------------------------

    def _configure(self) -> None:
        """What is charged before the guest runs: all memory, or KVM_ARM_VCPU_MAX_BUFFER_SIZE on
        each vCPU; -ENOMEM over the limit."""
        policies, sizes, account = self.policies, self.vm.sizes, self.account
        if policies.backing.pins_memory:
            if not self._charged(lambda: account.reserve(sizes.memory)):
                for vcpu in self.vcpus:
                    vcpu.event.refuse()
            return
        if not policies.accounting.high_water or sizes.max_buffer >= FOREVER:
            return
        for vcpu, visit in product(self.vcpus, range(self.spec.task.visits)):
            assert vcpu.hypervisor is not None
            charge = partial(
                account.configure, vcpu.hypervisor.pages.payer(visit), sizes.max_buffer
            )
            if not self._charged(charge):
                vcpu.event.refuse()
        account.forget_configuration()

    def _charged(self, charge: Callable[[], int]) -> bool:
        """Try, and try again as long as the VMM raises its limit."""
        while excess := charge():
            self.account.counts.config_enomem += 1
            reply = answer_enomem(excess, self.account, self.policies)
            if reply.limit is None:
                return False
            self.account.set_limit(reply.limit)
        return True

    # --- running -------------------------------------------------------------------------

    def run(self) -> RunResult:
        """Run to the end of every vCPU; asserts the conservation laws."""
        self.engine.run(self.start())
        return self.finish()

    def start(self) -> AllOf:
        """Let every vCPU run; the event that all have ended."""
        for vcpu in self.vcpus:
            self.engine.process(vcpu.cpu.run())
        return AllOf(self.engine, [vcpu.cpu.done for vcpu in self.vcpus])

    def finish(self) -> RunResult:
        """The VM is destroyed; what the run has said."""
        for vcpu in self.vcpus:
            if vcpu.hypervisor:
                vcpu.hypervisor.pages.destroy()
        self.account.release()
        return RunResult(
            arm=self.run_spec.arm,
            replication=self.run_spec.replication,
            vcpus=tuple(vcpu.result() for vcpu in self.vcpus),
            rlimit=self.account.counts if self.spec.policies.virtual else RlimitCounts(),
            locked=tuple(self.account.points),
            zaps=self._zaps(),
            wall=max(vcpu.ledgers.time.wall for vcpu in self.vcpus),
            ended_because=self._ended_because(),
            engine_events=self.engine.events,
            kernel_calls=sum(v.spu.sampler.kernel_calls for v in self.vcpus),
            kernel_truncations=sum(v.spu.sampler.truncations for v in self.vcpus),
            fused_rounds=sum(v.rounds.rounds for v in self.vcpus if v.rounds),
        )

    def _zaps(self) -> int:
        """Pages that went: one with every record written, if that is the pressure."""
        written = sum(vcpu.spu.sampler.written() for vcpu in self.vcpus)
        return self.host.zaps + (written if zaps_records(self.spec) else 0)

    def _ended_because(self) -> str:
        if self.vm.killed:
            return self.vm.ended_because
        if any(vcpu.event.refused for vcpu in self.vcpus):
            return "-ENOMEM at configuration: refused, so a vCPU has no SPE"
        return next((vcpu.cpu.ended_because for vcpu in self.vcpus if vcpu.cpu.ended_because), "")


def simulate(
    spec: MachineSpec, streams: tuple[Stream, ...], run: Run, engine: str = "fast"
) -> RunResult:
    """One replication of one arm; `engine` is "fast" or "reference", with the same result."""
    return Machine(spec, streams, run, ENGINES[engine]).run()

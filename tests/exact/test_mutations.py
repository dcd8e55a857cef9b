"""Seeded bugs: each must be caught by a small, fixed set of random machines.

A mutant is a module whose source has one change. It runs in place of the real one (compiled code
as plain Python) and is compared with the unchanged other engine; a law that breaks, an exception
or any difference counts as caught. The control runs unchanged copies the same way: they must pass.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import zip_longest
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sim.host.migration import Migration
from sim.host.pressure import Touch
from sim.ledger import LawBrokenError
from sim.linux.aux import AuxFlag, Geometry
from sim.linux.driver import DriverRules
from sim.linux.reader import ReaderSpec
from sim.machine.machine import Machine, simulate
from sim.machine.run import Run
from sim.machine.spec import MachineSpec, PressureSpec, UnmapSpec
from sim.policies.stages import KvmCosts
from sim.scenario.models.scenario import DESIGNS
from sim.spe import fast
from sim.spe.buffer import PACKED, SLOT64
from sim.spe.filter import Filter
from sim.spe.reference import SampleTimer
from sim.spe.select import Jitter
from sim.workload.arrays import LEVEL_STRIDE, Stream
from tests.exact import random_machines as made
from tests.exact.mutants import MACHINE_SECONDS, Mutant, at_most, build, hints, install
from tests.exact.mutants import mutant as _m
from tests.rigs.machines import table, vary

pytestmark = pytest.mark.deep

MAX_OPS = 2500
MACHINES = 400
FLYING_AT_THE_END = (107043,)
"""Seeds, found by search."""
ALONE = 5
"""A shared module's copy is alone in every fifth machine: prime to the kinds, which take turns."""


KERNEL, FAST, SPU = "sim.spe.compiled", "sim.spe.fast", "sim.spe.reference"
SELECTION = "sim.spe.selection"
READER = "sim.linux.reader"
CPU, GIC, ENGINE, HOST = "sim.cpu.core", "sim.cpu.gic", "sim.engine", "sim.host.pressure"
AUX, DRIVER = "sim.linux.aux", "sim.linux.driver"
HYP, MEMLOCK, TABLES = "sim.kvm.hypervisor", "sim.kvm.memlock", "sim.kvm.tables"
NOTIFIERS, MIGRATION, PAGES = "sim.kvm.notifiers", "sim.host.migration", "sim.kvm.pages"
SCHEDULER, REGISTERS = "sim.host.scheduler", "sim.spe.spu"
SHARED = {
    CPU: ("Cpu",),
    GIC: ("Gic",),
    ENGINE: ("Engine",),
    HOST: ("Host",),
    AUX: ("AuxRing",),
    DRIVER: ("SpeEvent",),
    READER: ("Reader",),
    HYP: ("Hypervisor",),
    MEMLOCK: ("Account",),
    PAGES: ("Pages",),
    TABLES: ("Stage2",),
    NOTIFIERS: ("GuestBuffer",),
    MIGRATION: ("migrate",),
    SCHEDULER: ("share_cpus",),
    REGISTERS: ("Spu",),
}
"""Modules that both engines run, and what of each the machine is built from."""
MUTANTS = [
    _m("write after selection on a tie", KERNEL, "if due <= at:", "if due < at:"),
    _m("horizon inclusive for writes", KERNEL, "if due >= horizon:", "if due > horizon:"),
    _m("horizon inclusive for selections", KERNEL, "if at >= horizon:", "if at > horizon:"),
    _m("collision not counted", KERNEL, "state[COLLIDED] += 1"),
    _m("one sample too many in flight", KERNEL, "if state[FLYING] >= config[IN_FLIGHT]:",
       "if state[FLYING] > config[IN_FLIGHT]:"),
    _m("full one record late", KERNEL, "if state[POINTER] > config[LIMIT] - config[MAX_SIZE]:",
       "if state[POINTER] > config[LIMIT]:"),
    _m("loss at a fault not counted", KERNEL, "state[LOST] += 1"),
    _m("filtered not counted", KERNEL, "state[FILTERED] += 1"),
    _m("passed not counted", KERNEL, "state[PASSED] += 1"),
    _m("completed not counted", KERNEL, "state[COMPLETED] += 1"),
    _m("selected not counted", KERNEL, "state[SELECTED] += 1"),
    _m("written not counted", KERNEL, "state[WRITTEN] += 1"),
    _m("a stretch counts one selection less", KERNEL, "state[SELECTED] += n",
       "state[SELECTED] += n - 1"),
    _m("a stretch draws one byte less", KERNEL, "state[DRAWN] += n", "state[DRAWN] += n - 1"),
    _m("whole blocks ignore collisions", KERNEL, " and _is_clear(tick, busy, m)", ""),
    _m("stretches ignore collisions", KERNEL, "while j < m - 1 and busy[j] <= tick[j + 1] and",
       "while j < m - 1 and"),
    _m("whole blocks ignore the horizon", KERNEL, "and tick[m - 1] < horizon ", ""),
    _m("stretches ignore the horizon", KERNEL, " and tick[j + 1] < horizon:", ":"),
    _m("latency filter exclusive", KERNEL, "busy[j] - tick[j] >= minimum",
       "busy[j] - tick[j] > minimum"),
    _m("the last primary is forgotten", KERNEL, "state[LAST] = state[PRIMARY]\n",
       "state[LAST] = NEVER\n"),
    _m("completion order ignores age", KERNEL, "best = f\n", "best = best\n"),
    _m("truncation forgotten", FAST, "self._state[:] = self._saved"),
    _m("stale events accepted", FAST, "self._engine.withdraw(self._ending, self._vcpu)"),
    _m("COUNT = 0 at a stop forgotten", FAST, "counter.count = 0 if at_zero else primary - pop + 1",
       "counter.count = primary - pop + 1"),
    _m("page changes unseen", FAST, "self._sync(self._clock.work(self._engine.now))"),
    _m("nothing flies at the stream's end", FAST, "not state[k.FLYING] and ", ""),
    _m("complete before it is", FAST, "if work == self._reached:", "if self._reached < FOREVER:"),
    _m("what was reached stays reached", FAST, "self._reached = FOREVER\n        now", "now"),
    _m("an event's wall time for its work time", FAST, "else until - self._clock.offset",
       "else until"),
    _m("speculated zaps kept", FAST, "self._pages[:] = self._zappable"),
    _m("ERnd resumes off its grid", FAST, "state[k.PRIMARY] = pop + to_zero - 1 - n1",
       "state[k.PRIMARY] = pop + to_zero - n1"),
    _m("no flush at a freeze", FAST, "self._places, self._rows, work\n",
       "self._places, self._rows, -1\n"),
    _m("reference: tie order", SPU, "elif completion <= selection:",
       "elif completion < selection:"),
    _m("reference: equal ages swapped", SPU, "self._flight[at - 1].busy > sample.busy",
       "self._flight[at - 1].busy >= sample.busy"),
    _m("reference: discards not counted", SPU,
       "self._ledger.discarded_in_flight += len(self._flight)"),
    _m("reference: counter not saved", SPU,
       "self.counter.advance(self._stream.pop(op) - self._anchor)"),
    _m("reference: skipped not counted", SPU, "self._ledger.skipped += 1"),
    _m("ops label not counted", CPU, "ops[self._label] += members"),
    _m("kernel ops not counted", CPU,
       "ops[OpLabel.NOT_IN_POPULATION] += op - self.label_from - members"),
    _m("executed not counted", CPU, "self.ledgers.ops.executed += self._op"),
    _m("running not counted", CPU, "self.ledgers.time.running += now - self.resumed_at"),
    _m("stopped not counted", CPU, "self.ledgers.time.stopped[cause] += ticks"),
    _m("delivered not counted", AUX, "self.delivery.delivered += self._copying"),
    _m("an AUX transaction not counted", AUX, "self.unread += records"),
    _m("an open window not settled", AUX, "self.delivery.unread_at_end += records"),
    _m("selections before external changes", ENGINE,
       "{Kind.RECORD_WRITE: Class.WRITE, Kind.SELECTION: Class.SELECT}",
       "{Kind.RECORD_WRITE: Class.WRITE, Kind.SELECTION: -1}"),
    _m("time passes by what is due at its end", ENGINE,
       "if end >= self.peek():", "if end > self.peek():"),
    _m("time passes by what is due", ENGINE, "if end >= self.peek():", "if False:"),
    _m("a block counts no completions", KERNEL, "state[COMPLETED] += done"),
    _m("a block counts nothing filtered", KERNEL, "state[FILTERED] += done - written"),
    _m("a block counts nothing passed", KERNEL, "state[PASSED] += written"),
    _m("a block counts nothing written", KERNEL, "state[WRITTEN] += written"),
    _m("a stretch leaves PMBPTR", KERNEL, "state[POINTER] += grown"),
    _m("a record leaves PMBPTR", KERNEL, "state[POINTER] += size"),
    _m("discards at a stop not counted", KERNEL,
       "                state[DISCARDED] += state[FLYING]\n", ""),
    _m("discards at a freeze not counted", KERNEL,
       "        if outcome != HORIZON:\n            state[DISCARDED] += state[FLYING]\n",
       "        if outcome != HORIZON:\n"),
    _m("a record unmaps nothing", KERNEL, "pages[page] = pages[last] = 0"),
    _m("skipped not counted", KERNEL, "state[SKIPPED] += 1"),
    _m("an ERnd grid one op short", KERNEL, "state[PRIMARY] += config[INTERVAL] + 1",
       "state[PRIMARY] += config[INTERVAL]"),
    _m("stretches ignore missing pages and the limit", KERNEL,
       "room = limit - state[POINTER]\n", "room = np.int64(1 << 40)\n"),
    _m("stretches ignore missing pages", KERNEL,
       "return min(limit, page << config[PAGE_SHIFT])", "return limit"),
    _m("stretches ignore the limit", KERNEL, "limit = config[LIMIT] - config[MAX_SIZE]\n",
       "limit = np.int64(1 << 40)\n"),
    _m("no room for what flies", KERNEL, "room -= state[FLIGHT + F_BYTES]"),
    _m("a stretch of any length fits", KERNEL, "room -= ok[j]"),
    _m("whole blocks fit", KERNEL, " and (m - 1) * config[RECORD] <= room", ""),
    _m("a stretch starts under a sample in flight", KERNEL,
       "if state[FLIGHT + BUSY] > tick[j]:\n            return j", "pass"),
    _m("ECOUNT one op early", FAST, "counter.ecount = candidate - pop + 1",
       "counter.ecount = candidate - pop"),
    _m("a reload draws its byte twice", FAST, "counter.drawn = drawn - int(undraw)",
       "counter.drawn = drawn"),
    _m("reference: selected not counted", SPU, "self._ledger.selected += 1"),
    _m("reference: collided not counted", SPU, "self._ledger.collided += 1"),
    _m("reference: completed not counted", SPU, "ledger.completed += 1"),
    _m("reference: filtered not counted", SPU, "ledger.filtered += 1"),
    _m("reference: passed not counted", SPU, "ledger.passed += 1"),
    _m("reference: lost not counted", SPU, "ledger.lost_at_fault += 1"),
    _m("reference: written not counted", SPU, "ledger.written += 1"),
    _m("lost ops not attributed to code", CPU, "self._loss.add(self.label_from, op)"),
    _m("wall time not kept", CPU, "self.ledgers.time.wall = self.engine.now"),
    _m("exits not counted", CPU, "self.ordinary_exits += 1"),
    _m("one latency for every stop", GIC, "self.ordinal += 1"),
    _m("a retracted interrupt still arrives", GIC, "self.level = self.arrived = False",
       "self.arrived = False"),
    _m("zaps not counted", HOST, "self.zaps += 1"),
    _m("PMSICR not saved", DRIVER, "self._period_left = self._spu.read_pmsicr()"),
    _m("a failed event comes back enabled", DRIVER,
       "yield from self._disable_and_drain()\n            self.disabled = True\n",
       "yield from self._disable_and_drain()\n"),
    _m("reference: discarded by mode not counted", SPU, "ledger.discarded_by_mode += 1"),
    _m("overwritten not counted", AUX, "self.delivery.overwritten += beyond"),
    _m("discarded records counted as written", FAST,
       "selections.discarded_by_mode, selections.written = selections.written, 0"),
    _m("discard mode fills the buffer", FAST, "FOREVER if self._settings.discard else value",
       "value"),
    _m("discard mode translates", SPU, "if self._config.discard:", "if False:"),
    _m("unread records of a destroyed VM vanish", AUX,
       "self.delivery.unread_at_end += self._copying"),
    _m("a wake-up at the end of a transaction is lost", AUX,
       "self._hold(held)\n        self._note_wakeup()", "self._hold(held)"),
    _m("truncation wakes nobody", AUX, "if flags & TRUNCATED:", "if False:"),
    _m("the tail moves when the copy begins", AUX, "self._copied_to = self.head",
       "self._copied_to = self.tail = self.head"),
    _m("a snapshot window crosses the middle", AUX,
       "limit = half if start < half else geometry.size", "limit = geometry.size"),
    _m("a snapshot is not flagged", AUX, "flags |= AuxFlag.OVERWRITE"),
    _m("truncation does not disable", DRIVER,
       "if flags & TRUNCATED:\n            self._pending_disable = True", "pass"),
    _m("the scheduler starts an event that is off", DRIVER, "if self.refused or self.off:",
       "if self.refused:"),
    _m("irq_work does not stop", DRIVER,
       "self.off = self.disabled = True\n            yield from self.stop()",
       "self.off = self.disabled = True"),
    _m("the other CPU's reader enables nothing", READER, "self._cpu.enable_event()"),
    _m("the reader runs where it should not", READER, "if self._spec.same_cpu:", "if False:"),
    _m("the reader on the task's CPU leaves the event off", CPU,
       "reader.enable_ticks)\n            self.event.off = False",
       "reader.enable_ticks)"),
    _m("the reader does not stop the task's event", CPU, "if self.plan.per_task:", "if False:"),
    _m("slices begin when the event has started", CPU,
       "self._begin_slice()\n        yield from self.event.start()",
       "yield from self.event.start()\n        self._begin_slice()"),
    _m("the guard forgets nothing", CPU, "0 if progress else self._idle_slices + 1",
       "self._idle_slices + 1"),
    _m("an idle CPU is a busy one", CPU, "if not self.plan.halted:", "if True:"),
    _m("a halted vCPU wakes at once", CPU, "wake = self.plan.wake_ticks", "wake = 0"),
    _m("an interrupt too close is recalled", GIC, "if left < self._retract:", "if False:"),
    _m("a stale PMBSR is never read", HYP,
       "sync.looks(interrupted=self._gic.arrived)", "True"),
    _m("drained while E is 0", HYP, "if self._spu.limit_enable else 0", ""),
    _m("an ordinary exit drains nothing", HYP,
       "_exit + self._drain()\n        yield from self._spend(TimeCause.ORDINARY_EXIT, ticks)\n"
       "        if self._sees",
       "_exit\n        yield from self._spend(TimeCause.ORDINARY_EXIT, ticks)\n"
       "        if self._sees"),
    _m("discard mode pins", HYP, "if self.pmblimitr.discard:", "if False:"),
    _m("after an abort the buffer stays on", DRIVER,
       "if is_fatal(status):\n            yield from self._disable_and_drain()",
       "if is_fatal(status):"),
    _m("collisions not flagged", DRIVER, "flags | _COLLISION if status.coll else flags", "flags"),
    _m("reads not counted as traps", HYP,
       "self.traps += self._trapping\n        yield from self._on_read(reg)",
       "yield from self._on_read(reg)"),
    _m("writes not counted as traps", HYP,
       "self.traps += self._trapping\n        yield from self._on_write(reg, value)",
       "yield from self._on_write(reg, value)"),
    _m("the hardware's pointer not collected", HYP, "self.pmbptr = self._spu.sampler.pointer"),
    _m("the page that faulted not blamed", HYP, "self.stage2.note_fault(self._fault_page)"),
    _m("a fault not resumed from", HYP,
       "if self._buffer_enabled() and not self.vm.killed:\n"
       "            self._spu.write_pmblimitr(self.pmblimitr.offset, enable=True)", "pass"),
    _m("a straddling record looks at its first page only", KERNEL,
       "if pages[page] == 0 or pages[last] == 0:", "if pages[page] == 0:"),
    _m("a cut record leaves PMBPTR", KERNEL,
       "state[POINTER] = last << config[PAGE_SHIFT]"),
    _m("a whole record's fault looks cut", KERNEL, "state[CUT] = 0"),
    _m("a straddling record unmaps its first page only", KERNEL, "pages[page] = pages[last] = 0",
       "pages[page] = 0"),
    _m("all records are of the longest", KERNEL, "ok[j] = size if yes else 0",
       "ok[j] = config[RECORD] if yes else 0"),
    _m("the largest record is the longest", FAST, "vector[k.MAX_SIZE] = config.layout.max_size",
       "vector[k.MAX_SIZE] = config.layout.longest"),
    _m("reference: a cut record is not noticed", SPU, "self.cut = (last << shift) - begin"),
    _m("reference: the second page stays", SPU, "for byte in (first, self.pointer - 1):",
       "for byte in (first,):"),
    _m("records counted by the byte", DRIVER, "self.tid, self._now(), records)",
       "self.tid, self._now())"),
    _m("events of branches are not looked at", KERNEL, "if wanted & ~events != 0:", "if False:"),
    _m("reference: events of branches are not looked at", SPU, "if wanted == 0:", "if True:"),
    _m("every selection slips", KERNEL,
       "% 1000 >= config[SLIPPING]", "% 1000 >= 1000"),
    _m("a slipped sample keeps its op", KERNEL, "ops[j] -= back\n", "pass\n"),
    _m("reference: a slip keeps its memory level", SPU,
       "row_level = self._row[seen.static] + seen.level",
       "row_level = self._row[place.static] + place.level"),
    _m("the tracked op is the counter's", KERNEL, "elif config[CHOOSING] != 0:", "elif False:"),
    _m("a tracked op keeps the counter's place", SELECTION,
       "place[j] = (row << ROW_SHIFT) | (static << 8) | level"),
    _m("a tracked op keeps the counter's index", SELECTION, "ops[j] = op\n", "pass\n"),
    _m("distance from the window's first op", SELECTION,
       "distance = min(op - begin, columns - 1)", "distance = min(op - low, columns - 1)"),
    _m("weights of the counter's class", SELECTION,
       "op_class = table[first + S_WORDS * static + S_CLASS]",
       "op_class = table[first + S_WORDS * ((place[j] & PLACE_MASK) >> 8) + S_CLASS]"),
    _m("a window is the whole straight-line code", SELECTION,
       "low = op - (op - begin) % window", "low = begin"),
    _m("a window ends one op early", SELECTION, "static, el, low + window, entry, at)",
       "static, el, low + window - 1, entry, at)"),
    _m("the last op of a window weighs 1", SELECTION,
       "members = at[POP] + T[T[STATIC] + 4 * last + WEIGHT]", "members = at[POP] + 1"),
    _m("code runs on over a taken branch", SELECTION,
       "!= el or table[first + S_WORDS * other + S_PC] != pc + 4:", "!= el:"),
    _m("code runs on into the kernel", SELECTION,
       "if level != el or before + 4 !=", "if before + 4 !="),
    _m("a branch not taken begins a window", SELECTION, "op, static = op - 1, other", "break"),
    _m("a branch not taken ends a window", SELECTION, "op, static = op + 1, other", "break"),
    _m("half the tries", SELECTION, "for trial in range(TRIES):", "for trial in range(4):"),
    _m("reference: the counter's op stands after one try", SPU, "for trial in range(TRIES):",
       "for trial in range(1):"),
    _m("reference: a branch not taken begins a window", SPU, "begin -= 1", "break"),
    _m("a fix after data loss keeps the records", HYP,
       "elif status.dl:\n            self._rewind()", "else:\n            pass"),
    _m("data loss rewinds the guest's pointer only", HYP,
       "self._spu.write_pmbptr(self._programmed)"),
    _m("voided records not counted", HYP,
       "self.cpu.ledgers.delivery.voided_by_DL += voided"),
    _m("the guest's pointer settles nothing", HYP, "self._spu.sampler.settle()"),
    _m("an error hides data loss", HYP, "policies.injected_dl or self._data_lost",
       "policies.injected_dl"),
    _m("voided samples stay in the profile", FAST, "self._profile -= voided"),
    _m("voided records are kept", FAST, "self._sink.drop(count)"),
    _m("reference: voided samples stay in the profile", SPU, "self._profile[index] -= 1"),
    _m("reference: voided records are kept", SPU, "self._sink.drop(count)"),
    _m("a pin not remembered", PAGES, "self.stage2.pin(self.window)"),
    _m("an unpin not charged back", PAGES,
       "self.vm.account.hold(self.payer(vcpu), held * self.granule)"),
    _m("enables not counted", HYP, "self.vm.account.counts.enables += 1"),
    _m("RLIMIT exits not counted", HYP, "account.counts.exits += 1"),
    _m("pinned pages not counted", PAGES,
       "self.vm.account.counts.pinned_pages += new"),
    _m("a pin of its own not remembered", PAGES, "self._held += new"),
    _m("an unpin of its own not remembered", PAGES, "self._held -= gone.size"),
    _m("pages that records unmapped stay so", PAGES, "self.stage2.note_zaps(first, last)"),
    _m("a window beyond the maximum", HYP, "(last - first) * granule > self.vm.sizes.max_buffer",
       "False"),
    _m("a high-water mark that falls", MEMLOCK,
       "max(self._highest.get(vcpu, 0), size)", "size"),
    _m("the excess is the whole", MEMLOCK, "max(0, wanted - self.limit)",
       "wanted if wanted > self.limit else 0"),
    _m("an unmapped table still translates", TABLES,
       "self.mapped[page] = 0\n        self._cover(page)", "self.mapped[page] = 0"),
    _m("what is unmapped still translates", TABLES, "self._cover(pages)"),
    _m("what is mapped translates later", TABLES, "self._uncover(new)"),
    _m("nobody waits for a lock", HYP, "wait + stage.ticks", "stage.ticks"),
    _m("pages that are away are there at once", PAGES,
       "return sum(ticks[absent[page]] for page in pages if page in absent) if absent else 0",
       "return 0"),
    _m("the destination has the source's stage 2", HYP,
       "self.drop_stage2()\n        if arrival.remote:", "if arrival.remote:"),
    _m("the destination pins nothing", HYP,
       "if anew and self._buffer_enabled():\n            yield from self._edges(was=False)"),
    _m("post-copy memory is there already", HYP, "if arrival.remote:", "if False:"),
    _m("the destination is there in the middle of a path", HYP,
       "self._arrival = Arrival(remote)", "self._leave_host(Arrival(remote))"),
    _m("swapped pages stay swapped on the destination", HYP,
       "absent.clear()  # what was swapped out has been read and sent"),
    _m("an ordinary exit looks at nothing", HYP,
       "if self._sees_stop():\n            yield from self._management_event()\n\n"
       "    def _on_pause", "\n    def _on_pause"),
    _m("S = 1 stays behind when the thread leaves", HYP,
       "if self._stopped:\n            yield from self._management_event()\n"
       "        if self._splits:", "if self._splits:"),
    _m("lost pins are forgotten", PAGES, "self.pins_lost = bool(self.stage2.pins.any())"),
    _m("a lost pin is lost for ever", PAGES, "self.pins_lost = False\n        self.stage2",
       "self.stage2"),
    _m("blocks take what is pinned as pages", NOTIFIERS,
       "return self.policies.goes_with_block(pinned=pinned)", "return True"),
    _m("neighbours are never discarded", HOST, "self.touch(target, page, Touch.BLOCK)"),
    _m("v7 does not exit under the dirty log", HYP,
       "self.vm.dirty_logging and self.vm.policies.backing", "False and self.vm.policies.backing"),
    _m("dropped pins stay charged", PAGES, "self.vm.account.hold(self.payer(vcpu), 0)"),
    _m("a task that moves has one payer", PAGES, "return self._index + vcpu * MAX_VCPUS",
       "return self._index"),
    _m("a vCPU kept from running takes no time", HYP,
       "yield from self._spend(cause, until - self._engine.now)"),
    _m("a task stays on its vCPU", CPU, "self.platform.migrated()"),
    _m("pins stay behind with their vCPU", TABLES,
       "self.elsewhere[:] = sum(p for k, p in self._pins.items() if k != vcpu)"),
    _m("a page read back is read again", TABLES, "self.absent.pop(page, None)"),
    _m("pinned pages move", NOTIFIERS,
       "not pinned and self.policies.on_invalidate(pinned=False)",
       "self.policies.on_invalidate(pinned=False)"),
    _m("the dirty log spares pinned pages", NOTIFIERS,
       "return self.policies.backing.write_protected", "return not pinned"),
    _m("reclaimed pages stay in memory", NOTIFIERS,
       "if how in (Touch.SWAP_OUT, Touch.UNMAP_THEN_SWAP)", "if False"),
    _m("a huge page is one page", HOST, "min(first + pressure.span, target.pages)", "first + 1"),
    _m("a piece is its first page", HOST, "min(first + pressure.piece, target.pages)",
       "first + 1"),
    _m("a sweep is a page longer", HOST, "yield self._engine.at(rest,",
       "yield self._engine.at(rest + 64,"),
    _m("shared memory is spared", NOTIFIERS, "case Touch.ZAP | Touch.UNMAP_THEN_SWAP:",
       "case Touch.UNMAP_THEN_SWAP:\n                return False\n            case Touch.ZAP:"),
    _m("a pinned page is swapped out", NOTIFIERS, " and not self._pinned(page):", ":"),
    _m("a memslot change is not counted", HOST, "self.zaps += target.gone()", "target.gone()"),
    _m("one round of dirty logging", MIGRATION, "1 if plan.post_copy else plan.rounds", "1"),
    _m("the dirty log starts at once", MIGRATION, "vm.pause(plan.log_start)"),
    _m("no downtime", MIGRATION, "vm.pause(plan.downtime)"),
    _m("the dirty log stays on", MIGRATION, "vm.dirty_logging = False"),
    _m("the host's turns do not move on", SCHEDULER, "turn += 1"),
    _m("a turn missed is one slice", SCHEDULER, "out += 1", "return 1"),
    _m("ageing clears nothing", TABLES, "self._take(page, Lack.ACCESS)"),
    _m("the dirty log takes nothing", TABLES, "self._take(page, Lack.WRITE)"),
    _m("a flag that is set gives a permission", TABLES, "if self.lacks[page] == 0:", "if True:"),
    _m("the permission is looked at first", TABLES,
       "old = self.lacks[first] & Lack.ACCESS", "old = not self.lacks[first] & Lack.WRITE"),
    _m("an entry that goes leaves its flag", TABLES,
       "self.lacks[pages] = _ENTRY\n", "pass\n"),
    _m("a new entry lacks what the old one did", TABLES,
       "self.lacks[page] = what if self.mapped[page] else self.lacks[page] | what",
       "self.lacks[page] |= what"),
    _m("what records unmap has its entry still", TABLES,
       "self.mapped[page] = 0\n            self.lacks[page] = Lack.ENTRY",
       "self.mapped[page] = 0\n            self.lacks[page] = 0"),
    _m("every SPU sets the access flag", NOTIFIERS, "return not self.stage2.updates.access",
       "return False"),
    _m("no SPU sets the access flag", NOTIFIERS, "return not self.stage2.updates.access",
       "return True"),
    _m("pinned pages are not aged", NOTIFIERS, "return not self.stage2.updates.access",
       "return not (pinned or self.stage2.updates.access)"),
    _m("no SPU sets the dirty state", NOTIFIERS, " and not updates.dirty", ""),
    _m("what is old is aged again", NOTIFIERS, "return stage2.has(page) and not gone",
       "return stage2.has(page)"),
    _m("an unusable entry does not go", NOTIFIERS, "return stage2.has(page) and not gone",
       "return bool(stage2.mapped[page])"),
    _m("a blackout does not say its fault's status", HYP, "self.cpu.blame(fault.name.lower())"),
    _m("an access flag is answered by mapping", HYP, "pages.mark_accessed(self._fault_page)",
       "pages.fix(self._fault_page)"),
    _m("errors are told of any status", HYP,
       "policies.tells(pins_lost=self.pages.pins_lost, fault=fault)",
       "policies.tells(pins_lost=self.pages.pins_lost)"),
    _m("policies do not see the status", HYP, "fault=_FAULTS[self._status & ~LEVELS],", ""),
    _m("an access flag stays clear", PAGES, "self.stage2.mark_accessed(old)"),
    _m("every fault is a missing entry", REGISTERS, "self._fsc(self.sampler.pointer)", "7"),
    _m("a full buffer is EL2's", HYP, "return self._splits and not self._spu.pmbsr_el2.s",
       "return False"),
    _m("KVM looks for faults in the guest's PMBSR", HYP,
       "return self._spu.pmbsr_el2.s if self._splits else self._spu.pmbsr.s",
       "return self._spu.pmbsr.s"),
    _m("KVM does not notice a full buffer", HYP,
       "if not self._spu.pmbsr.s or self.pmbsr.s:", "if True:"),
    _m("what EL1 takes is never masked", HYP,
       "return self.virq_masking if self.guest_takes else Masking.NOTHING",
       "return Masking.NOTHING"),
    _m("what EL2 takes is masked", HYP,
       "return self.virq_masking if self.guest_takes else Masking.NOTHING",
       "return self.virq_masking"),
    _m("an exception is the host's interrupt too", HYP,
       "self.vm.policies.exceptions.exit_ticks(costs)", "costs.exit + costs.host_irq"),
    _m("PMBSR_EL1 is written at the cost of an interrupt", HYP,
       "self.vm.policies.exceptions.inject_ticks(self.vm.costs)", "self.vm.costs.inject"),
    _m("S at EL2 does not stop", REGISTERS, "return self.pmbsr.s or self.pmbsr_el2.s",
       "return self.pmbsr.s"),
    _m("a fault is in the guest's PMBSR", REGISTERS, "if self._splits:", "if False:"),
    _m("the kernel takes what it has masked", CPU, "return self.stream.user_from(op)",
       "return op"),
    _m("PSTATE.I masks an exception", CPU,
       "case Masking.NOTHING:\n                return op",
       "case Masking.NOTHING:\n                return self.stream.unmasked_from(op)"),
    _m("the virtual interrupt is never due", CPU,
       "waiting = [self.platform.virq_masking] if self.virq else []", "waiting = []"),
    _m("a masked exception is never due", CPU, "waiting.append(self.platform.masking)"),
    _m("the guest's own exception exits", CPU,
       "yield from self.event.irq() if direct else self.platform.pmbirq()",
       "yield from self.platform.pmbirq()"),
]  # a mutant a line  # fmt: skip


FORGOTTEN = [
    (CPU, "ops[self._label] += members"),
    (CPU, "ops[OpLabel.NOT_IN_POPULATION] += op - self.label_from - members"),
    (CPU, "self.ledgers.ops.executed += self._op"),
    (CPU, "self.ledgers.time.running += now - self.resumed_at"),
    (CPU, "self.ledgers.time.stopped[cause] += ticks"),
    (CPU, "self.ledgers.time.wall = self.engine.now"),
    (AUX, "self.delivery.delivered += self._copying"),
    (AUX, "self.delivery.unread_at_end += records"),
    (AUX, "self.unread += records"),
    (AUX, "self.delivery.overwritten += beyond"),
    (AUX, "self.delivery.unread_at_end += self._copying"),
    (HYP, "self.cpu.ledgers.delivery.voided_by_DL += voided"),
    (SPU, "ledger.discarded_by_mode += 1"),
    (FAST, "selections.discarded_by_mode, selections.written = selections.written, 0"),
    (SPU, "self._ledger.selected += 1"),
    (SPU, "self._ledger.collided += 1"),
    (SPU, "ledger.completed += 1"),
    (SPU, "ledger.filtered += 1"),
    (SPU, "ledger.passed += 1"),
    (SPU, "ledger.lost_at_fault += 1"),
    (SPU, "ledger.written += 1"),
    (SPU, "self._ledger.discarded_in_flight += len(self._flight)"),
    (KERNEL, "state[SELECTED] += 1"),
    (KERNEL, "state[SELECTED] += n"),
    (KERNEL, "state[COLLIDED] += 1"),
    (KERNEL, "state[COMPLETED] += 1"),
    (KERNEL, "state[COMPLETED] += done"),
    (KERNEL, "state[FILTERED] += 1"),
    (KERNEL, "state[FILTERED] += done - written"),
    (KERNEL, "state[PASSED] += 1"),
    (KERNEL, "state[PASSED] += written"),
    (KERNEL, "state[LOST] += 1"),
    (KERNEL, "state[WRITTEN] += 1"),
    (KERNEL, "state[WRITTEN] += written"),
]
"""Ledger increments whose deletion a conservation law finds without a second engine."""


@cache
def _machines() -> list[tuple[int, Stream, MachineSpec]]:
    """Small machines, the same for every mutant."""
    found = []
    for seed in range(5000, 5000 + MACHINES):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        if stream.ops <= MAX_OPS:
            found.append((seed, stream, made.spec(r, stream, dense=True)))
    kinds = (
        _slowly_read(found),
        _snapshots(found),
        _destroyed_unread(found),
        [_killed(found)],
        _often_zapped(found),
        _small_windows(found),
        _unmapped_by_records(found),
        _often_frozen(found),
        _packed(),
        _pressed(found),
        _aged(found),
        _excepted(),
        _flying_at_the_end(),
        found,
    )
    # in turn: whatever kind tells a mutant apart is soon met
    turns = zip_longest(*kinds)
    return [machine for turn in turns for machine in turn if machine is not None]


def _pressed(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """All that a host does, to four designs: scans, a memslot change, a live migration, fewer CPUs
    than vCPUs, tasks that move between vCPUs."""
    log = Migration(3200, 3, 6400, 640, 6400, post_copy=False)
    moving = PressureSpec("move", Touch.MOVE, table((3200, 6400)), span=2)
    pressed = []
    for n, (seed, stream, spec) in enumerate(machines[:40]):
        policies = DESIGNS[("v6", "unpinned", "v7-guest-memfd", "v6-lazy-unpin")[n % 4]][0]
        how = Touch.UNMAP_THEN_SWAP if n % 5 == 2 else Touch.SWAP_OUT  # shared memory, anonymous
        scans = (moving, PressureSpec("reclaim", how, table((6400, 9600))))
        pressed.append(
            (
                seed,
                stream,
                vary(
                    spec,
                    policies=policies.model_copy(
                        update={
                            "unmap_on_unpin": n % 3 == 0,
                            "lost_pin": "inject_error" if n % 10 == 3 else "as_fault",
                            "notifiers": "honour_all" if n % 5 == 2 else policies.notifiers,
                        }
                    ),
                    pressures=scans if n % 5 < 3 else (),
                    memslot_changes=20_000 if n % 5 == 3 else 0,
                    migration=replace(log, post_copy=n % 8 > 4) if n % 5 != 3 else None,
                    vcpus=3 if n % 2 else 2,
                    physical_cpus=1 if n % 3 else 0,
                    host_slice=8000,
                    visits=1 + n % 3,
                    switch_ticks=4800,
                    away_ticks=64,
                    wall_slices=False,
                    halted=False,
                    aux=Geometry(16_384, 4096, 4096),
                    granule=4096,
                    memory=16 * 4096,
                    layout=SLOT64,
                    kvm=KvmCosts(*(640 for _ in range(21))),
                    random_start=False,
                    max_buffer=1 << 62,
                    memlock=1 << 40,
                    cap_ipc_lock=False,
                    data_loss_per_mille=0,
                    interval=8,
                    period=8,
                    jitter=Jitter.OFF,
                    resync=False,
                    snapshot=False,
                    rules=DriverRules(),
                    reader=None,
                    per_task=True,
                    exits=None,
                    unmap=UnmapSpec("never"),
                    warm=True,
                    irq_latency=(64,),
                ),
            )
        )
    return pressed


def _excepted() -> list[tuple[int, Stream, MachineSpec]]:
    """FEAT_SPE_EXC and FEAT_SPE_nVM: full buffers and faults in a kernel that is profiled, stops
    just before switches, errors for the guest, stale PMBSRs."""
    found: list[tuple[int, Stream, MachineSpec]] = []
    for seed in range(8200, 8600):
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        kernel = stream.all_counted and not stream.never_masked
        if stream.ops > MAX_OPS or not kernel:
            continue
        n = len(found)
        design = ("spe-exc", "baremetal", "spe-nvm", "unpinned-error")[n % 4]
        changes = {
            "exceptions": ("profiling", "profiling_el0", "profiling")[n % 3],
            "notifiers": "honour_all",
            "pmbsr_sync": ("irq_only", "every_exit")[n // 4 % 2],
        }
        zapping = PressureSpec("scan", Touch.ZAP, table((320, 1280, 3200)))
        spec = vary(
            made.spec(r, stream, dense=True),
            **made.CALM
            | {
                "policies": DESIGNS[design][0].model_copy(update=changes),
                "pressures": (zapping,) if n % 2 else (),
                "vcpus": 1,
                "aux": Geometry(8192, 256, 256),
                "kvm": KvmCosts(*(160 for _ in range(21))),
                "max_buffer": 4096 if n % 16 == 12 else 1 << 62,
                "memlock": 1 << 40,
                "interval": 2,
                "period": 2,
                "jitter": Jitter.OFF,
                "resync": False,
                "snapshot": False,
                "rules": DriverRules(),
                "reader": None,
                "exits": table((640, 3200)) if n % 5 == 4 else None,
                "switch_ticks": 2400 if n % 3 == 2 else 0,
                "per_task": True,
                "wall_slices": False,
                "halted": False,
                "unmap": UnmapSpec("never"),
                "warm": True,
                "irq_latency": table((0, 64, 640, 1280)),
                "filter": Filter(np.ones(stream.statics * LEVEL_STRIDE, np.uint8), 0),
            },
        )
        found.append((seed, stream, spec))
        if len(found) == 48:
            break
    return found


def _flying_at_the_end() -> list[tuple[int, Stream, MachineSpec]]:
    """Something of the vCPU is due between the last selection and its record's write, and leaves
    the SPU alone; about one random machine in 700."""
    found = []
    for seed in FLYING_AT_THE_END:
        r = random.Random(seed)
        stream = made.stream(r, dense=True)
        found.append((seed, stream, made.spec(r, stream, dense=seed % 2 == 0)))
    return found


def _aged(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """Flags that are cleared and permissions that are taken, of pinned and other pages; SPUs that
    set them and SPUs that do not; answers by status."""
    aged = []
    answers = ("fix_and_resume", "fix_flags_or_error", "fix_flags_or_pin", "pin_then_resume")
    log = Migration(3200, 3, 6400, 0, 640, post_copy=False)
    for n, (seed, stream, spec) in enumerate(machines[:48]):
        design = ("v6", "v5-memslot-lock", "v6-lazy-unpin", "first-fault")[n % 4]
        answer = answers[n // 4 % 4] if n % 4 != 1 else answers[n // 4 % 2]
        aging = PressureSpec("ageing", Touch.AGE, table((320, 640, 1280, 3200)))
        zapping = PressureSpec("scan", Touch.ZAP, table((3200, 6400)))
        aged.append(
            (
                seed,
                stream,
                vary(
                    spec,
                    **made.CALM
                    | {
                        "policies": DESIGNS[design][0].model_copy(
                            update={"stage2_fault": answer, "notifiers": "honour_all"}
                        ),
                        "pressures": (aging, zapping) if n % 3 else (aging,),
                        "migration": log if n % 2 else None,
                        "flag_updates": n % 6 == 5,
                        "dirty_bit": n % 12 > 5,
                        "unmap": UnmapSpec("per_record" if n % 8 == 6 else "never"),
                        "vcpus": 1,
                        "aux": Geometry(16_384, 4096, 4096),
                        "granule": 4096,
                        "memory": 16 * 4096,
                        "kvm": KvmCosts(*(*(640 for _ in range(20)), 160)),
                        "random_start": False,
                        "max_buffer": 1 << 62,
                        "memlock": 1 << 40,
                        "cap_ipc_lock": False,
                        "interval": 2,
                        "period": 2,
                        "jitter": Jitter.OFF,
                        "resync": False,
                        "snapshot": False,
                        "rules": DriverRules(),
                        "reader": None,
                        "exits": None,
                        "warm": True,
                        "irq_latency": (64,),
                        "filter": Filter(np.ones(stream.statics * LEVEL_STRIDE, np.uint8), 0),
                    },
                ),
            )
        )
    return aged


def _small_windows(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """A full buffer every four records."""
    return [
        (
            seed,
            stream,
            vary(
                spec,
                aux=Geometry(8192, 256, 256),
                layout=SLOT64,
                data_loss_per_mille=0,
            ),
        )
        for seed, stream, spec in machines[:60]
    ]


def _unmapped_by_records(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """Pinned windows whose notifier yields to `unmap: per_record`."""
    policies = DESIGNS["v6"][0].model_copy(update={"notifiers": "honour_all"})
    return [
        (
            seed,
            stream,
            vary(
                spec,
                policies=policies,
                unmap=UnmapSpec("per_record"),
                memlock=1 << 40,
                max_buffer=1 << 62,
            ),
        )
        for seed, stream, spec in _small_windows(machines)[:40]
    ]


def _often_frozen(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """Every other op selected and many freezes, so that some find the counter at 0."""
    return [
        (
            seed,
            stream,
            vary(
                spec,
                policies=DESIGNS["unpinned"][0],
                interval=1,
                period=1,
                jitter=Jitter.OFF,
                resync=False,
                in_flight=1,
                exits=table((96, 112, 160, 240)),
                unmap=UnmapSpec("never"),
                vcpus=1,
                aux=Geometry(1 << 20, spec.granule, 1 << 19),
                switch_ticks=0,
                warm=True,
            ),
        )
        for seed, stream, spec in machines[:60]
    ]


def _packed() -> list[tuple[int, Stream, MachineSpec]]:
    """Records that straddle pages which come and go: voided by a fix, or an error for the guest."""
    found = []
    by_record, at_random = UnmapSpec("per_record"), UnmapSpec("poisson", table((6400, 25_600)))
    for n, (design, pressure, first) in enumerate(
        (
            ("unpinned", by_record, 6008),
            ("unpinned-error", at_random, 6118),
            ("unpinned", at_random, 6302),
            ("first-fault", at_random, 7101),
            ("unpinned", by_record, 6624),
            ("unpinned-error", at_random, 6735),
        )
    ):
        many = 0
        for seed in range(first, first + 400):
            r = random.Random(seed)
            stream = made.stream(r, dense=False)
            spec = vary(
                made.spec(r, stream, dense=False),
                policies=DESIGNS[design][0],
                unmap=pressure,
                layout=PACKED,
                aux=Geometry(16_384, 4096, 8192, PACKED.max_size, PACKED.align),
                vcpus=1,
                in_flight=4,
                interval=1,
                period=1,
                jitter=Jitter.OFF,
                resync=False,
                rules=DriverRules(),
                snapshot=False,
                data_loss_per_mille=0,
                exits=None,
                filter=Filter(np.ones(stream.statics * LEVEL_STRIDE, np.uint8), 0),
                reader=ReaderSpec(False, 640, 64, 64) if n % 2 else None,
                switch_ticks=0,
                max_buffer=1 << 62,
                memlock=1 << 40,
                cap_ipc_lock=False,
                random_start=False,
            )
            vcpu = simulate(spec, (stream,), Run("x", seed, 0, True)).vcpus[0]
            cut = (vcpu.aux["flags"] & AuxFlag.PARTIAL).any()
            if stream.ops < 4 * MAX_OPS and (cut or vcpu.ledgers.delivery.voided_by_DL):
                found.append((seed, stream, spec))
                many += 1
            if many == 6:
                break
    return found


def _often_zapped(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """Pages unmapped at the very instants of record writes."""
    return [
        (
            seed,
            stream,
            vary(
                spec,
                policies=DESIGNS["unpinned"][0],
                unmap=UnmapSpec("poisson", table((16, 32, 64, 96))),
                vcpus=1,
                exits=None,
                switch_ticks=0,
                rules=DriverRules(),
                reader=None,
                snapshot=False,
                aux=Geometry(2 * spec.granule, spec.granule, spec.granule),
                interval=8,
                period=8,
                jitter=Jitter.OFF,
                resync=False,
            ),
        )
        for seed, stream, spec in machines[:60]
    ]


def _snapshots(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """A ring that is overwritten several times."""
    return [
        (
            seed,
            stream,
            vary(
                spec,
                policies=DESIGNS["baremetal"][0],
                snapshot=True,
                rules=DriverRules(),
                reader=None,
                vcpus=1,
                interval=1,
                period=1,
                jitter=Jitter.OFF,
                resync=False,
                in_flight=4,
                aux=Geometry(512, 256, 256),
                granule=256,
                irq_latency=(0,),
            ),
        )
        for seed, stream, spec in machines[:20]
    ]


def _slowly_read(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """Rings whose reader falls behind: both CPUs, both versions, late interrupts, stale PMBSR."""
    made_of = []
    for n, (seed, stream, spec) in enumerate(machines[:24]):
        times = (64, 9000) if n % 3 else (9000, 640)
        small = n % 12 == 0  # bare metal, the task's own CPU: the ring is full before it is read
        times = (1280, 64) if small else times
        made_of.append(
            (
                seed,
                stream,
                vary(
                    spec,
                    policies=DESIGNS[("baremetal", "v6", "unpinned")[n % 3]][0].model_copy(
                        update={
                            "pmbsr_sync": "irq_only" if n % 2 else "every_exit",
                            "accounting": "per_pin" if n % 4 < 2 else "high_water_mark",
                        }
                    ),
                    reader=ReaderSpec(n % 4 == 0, *times, 16),
                    snapshot=False,
                    halted=n % 5 == 0,
                    rules=DriverRules(stops_on_failure=n % 2 == 1),
                    wall_slices=n % 2 == 0,
                    wake_ticks=160,
                    switch_ticks=2400,
                    per_task=n % 8 != 4,
                    irq_retract=1 << 20,
                    vcpus=1,
                    interval=1,
                    period=1,
                    jitter=Jitter.OFF,
                    resync=False,
                    in_flight=4,
                    aux=Geometry(1024 if small else 8192, 256, 256),
                    granule=256 if small else 4096,
                    irq_latency=table((0, 64, 640, 1280)),
                    exits=None,
                    max_buffer=1 << 62,
                    memlock=1 << 40,
                    cap_ipc_lock=False,
                    unmap=UnmapSpec("never"),
                    filter=Filter(np.ones(stream.statics * LEVEL_STRIDE, np.uint8), 0),
                    **made.CALM,
                ),
            )
        )
    return made_of


def _destroyed_unread(
    machines: list[tuple[int, Stream, MachineSpec]],
) -> list[tuple[int, Stream, MachineSpec]]:
    """The VMM gives up when a later window needs more; a reader is copying by then."""
    policies = DESIGNS["v6"][0].model_copy(update={"vmm": "refuse_kill"})
    found = []
    for seed, stream, spec in machines[:60]:
        page = spec.granule
        spec = vary(
            spec,
            policies=policies,
            vcpus=2,
            max_buffer=1 << 62,
            memlock=9 * page,
            memlock_hard=9 * page,
            cap_ipc_lock=False,
            interval=200,
            period=1,
            jitter=Jitter.OFF,
            aux=Geometry(16 * page, page, 64),
            exits=None,
            resync=False,
            wall_slices=False,
            unmap=UnmapSpec("never"),
            random_start=True,
            snapshot=False,
            rules=DriverRules(),
            reader=ReaderSpec(False, 16, 1 << 20, 16),
            switch_ticks=160,
            away_ticks=16,
        )
        result = simulate(spec, (stream,), Run("x", seed, 0))
        if any(vcpu.ledgers.delivery.unread_at_end for vcpu in result.vcpus):
            found.append((seed, stream, spec))
    return found[:4]


def _killed(machines: list[tuple[int, Stream, MachineSpec]]) -> tuple[int, Stream, MachineSpec]:
    """Two vCPUs; the second one's enable is refused while the first has a window open."""
    for seed, stream, spec in machines:
        page = spec.granule
        policies = DESIGNS["v6"][0].model_copy(update={"vmm": "refuse_kill"})
        spec = vary(
            spec,
            policies=policies,
            vcpus=2,
            max_buffer=1 << 62,
            memlock=12 * page,
            memlock_hard=12 * page,
            cap_ipc_lock=False,
            interval=200,
            period=1,
            jitter=Jitter.OFF,
            aux=Geometry(16 * page, page, 8 * page),
            switch_ticks=0,
            exits=None,
            resync=False,
            unmap=UnmapSpec("never"),
            random_start=True,
        )
        result = simulate(spec, (stream,), Run("x", seed, 0))
        if any(vcpu.ledgers.delivery.unread_at_end for vcpu in result.vcpus):
            return seed, stream, spec
    raise AssertionError("no machine is destroyed with records in an open window")


@pytest.fixture(autouse=True)
def _unmutated_machines() -> None:
    """The machines are chosen by running them: before anything is mutated."""
    _machines()


@cache
def _expected(index: int, engine: str) -> dict[str, object]:
    seed, stream, spec = _machines()[index]
    return made.everything(simulate(spec, (stream,), Run("x", seed, 0, True, True), engine))


def _differs(factory: Any, other: str, every: int = 1) -> bool:
    """Does some machine, of all or of every so many, tell this sampler from the other engine?"""
    for index, (seed, stream, spec) in list(enumerate(_machines()))[::every]:
        run = Run("x", seed, 0, True, True)
        try:
            with at_most(MACHINE_SECONDS):
                said = made.everything(Machine(spec, (stream,), run, factory).run())
        except Exception:  # a mutant may break in any way; the control shows that the copy does not
            return True
        if said != _expected(index, other):
            return True
    return False


def _sampler(module: str, mutant: ModuleType) -> tuple[Any, str]:
    """(sampler factory, the engine it must equal)."""
    if module == KERNEL:
        host = build(FAST)
        host.__dict__["k"] = mutant
        return host.__dict__["MacroSampler"], "reference"
    if module == SELECTION:
        kernel, host = build(KERNEL), build(FAST)
        kernel.__dict__["choose"] = mutant.__dict__["choose"]
        host.__dict__["selection_array"] = mutant.__dict__["selection_array"]
        host.__dict__["k"] = kernel
        return host.__dict__["MacroSampler"], "reference"
    if module == FAST:
        return mutant.__dict__["MacroSampler"], "reference"
    return mutant.__dict__["SampleTimer"], "fast"


@pytest.fixture(autouse=True)
def _plain_numpy() -> Iterator[None]:
    """numpy scalars warn where compiled integers wrap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "MAX_CHUNK", 64)
    hints(monkeypatch, known=2)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded bug changes a record, an event time or a ledger, or breaks a law."""
    module = build(mutant.module, mutant.old, mutant.new)
    assert _is_told_apart(mutant.module, module, monkeypatch)


def _is_told_apart(name: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Does a machine with this copy in it differ from one without?"""
    if name not in SHARED:
        return _differs(*_sampler(name, module))
    _expect("fast")
    _replace(name, module, monkeypatch)
    return _differs(SampleTimer, "fast")


def _expect(engine: str) -> None:
    """What is expected is known before a shared module is replaced."""
    for index in range(len(_machines())):
        _expected(index, engine)


def _replace(name: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is built from this copy of a shared module."""
    for part in SHARED[name]:
        install(part, module.__dict__[part], monkeypatch)


@pytest.mark.parametrize("module", [KERNEL, FAST, SPU, SELECTION])
def test_an_unchanged_copy_passes(module: str) -> None:
    """The control: copies made and run in the same way differ from nothing."""
    assert not _differs(*_sampler(module, build(module)))


def test_unchanged_copies_pass_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of what both engines share, on every machine."""
    _expect("fast")
    for module in SHARED:
        _replace(module, build(module), monkeypatch)
    assert not _differs(SampleTimer, "fast")


@pytest.mark.parametrize("module", SHARED)
def test_an_unchanged_copy_passes_alone(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mutant is: a copy that its neighbours do not know again differs at once."""
    _expect("fast")
    _replace(module, build(module), monkeypatch)
    assert not _differs(SampleTimer, "fast", every=ALONE)


@pytest.mark.parametrize(("name", "increment"), FORGOTTEN)
def test_a_forgotten_increment_breaks_a_law(
    name: str, increment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One engine alone finds it: `close()` raises at the end of some run."""
    module = build(name, increment, "pass")
    factory: Any = SampleTimer
    if name in SHARED:
        _replace(name, module, monkeypatch)
    else:
        factory, _ = _sampler(name, module)
    assert any(_breaks_a_law(factory, *machine) for machine in _machines())


def _breaks_a_law(factory: Any, seed: int, stream: Stream, spec: MachineSpec) -> bool:
    try:
        with at_most(MACHINE_SECONDS):
            Machine(spec, (stream,), Run("x", seed, 0), factory).run()
    except LawBrokenError:
        return True
    return False

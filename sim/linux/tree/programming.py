"""What a kernel tree's driver makes of an event, before it runs: registers, and the AUX area.

The driver is started once on registers that nobody looks at; what it wrote is what the SPU samples
by. The interval, the filters and how the AUX area is allocated are then the tree's, not ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sim.linux.aux import Geometry
from sim.linux.tree import building, sources
from sim.linux.tree.program import DriverProgram, Operation, Setup, SysReg, Told
from sim.linux.tree.sources import FILES, Tree, TreeError

_JITTER, _BRANCH, _LOAD, _STORE, _DISCARD = (1 << bit for bit in (16, 32, 33, 34, 35))
"""attr.config: perf's arm_spe_0/jitter, branch_filter, load_filter, store_filter, discard/."""
_FE, _FT, _FL, _FDS, _B, _LD, _ST = (1 << bit for bit in (0, 1, 2, 4, 16, 17, 18))
_FDS_OF_ID = 1 << 7
"""PMSIDR_EL1.FDS: only where the filter is asked for, as its register is written then only."""
_INTERVALS = {256: 0, 512: 2, 768: 3, 1024: 4, 1536: 5, 2048: 6, 3072: 7, 4096: 8}
"""PMSIDR_EL1.Interval by ops (Arm ARM D24.7.14)."""
_VERSIONS = {"v1p0": 1, "v1p1": 2, "v1p2": 3}
"""ID_AA64DFR0_EL1.PMSVer."""
_FEATURES = _FE | _FT | _FL | 1 << 3 | 1 << 4
"""PMSIDR_EL1: filters, ArchInst and LDS, the last two of which change nothing here."""
_INTERVAL, _RND = 0xFFFF_FF00, 1
_FIXED = (
    *(SysReg.PMSIRR, SysReg.PMSFCR, SysReg.PMSEVFR, SysReg.PMSNEVFR, SysReg.PMSLATFR),
    SysReg.PMSDSFR,
)
_ALL = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """An event as perf_event_open gets it, and the hardware under it; ops and bytes."""

    period: int
    aux: Geometry
    watermark: int
    """attr.aux_watermark; 0 leaves it to the kernel."""
    jitter: bool = False
    ernd: bool = False
    load: bool = False
    store: bool = False
    branch: bool = False
    event_filter: int = 0
    min_latency: int = 0
    inv_data_src_filter: int = 0
    exclude_kernel: bool = True
    snapshot: bool = False
    discard: bool = False
    min_interval: int = 1024
    spe: str = "v1p0"
    wide_counters: bool = False

    def setup(self) -> Setup:
        """As the shim takes it."""
        bits = (
            (_JITTER, self.jitter),
            (_LOAD, self.load),
            (_STORE, self.store),
            (_BRANCH, self.branch),
            (_DISCARD, self.discard),
        )
        pmsidr = (
            _FEATURES
            | _FDS_OF_ID * bool(self.inv_data_src_filter)
            | self.ernd << 5
            | _INTERVALS[self.min_interval] << 8
        )
        pmsidr |= (self.aux.record.bit_length() - 1) << 12 | (2 + self.wide_counters) << 16
        return Setup(
            page_shift=self.aux.page.bit_length() - 1,
            pages=self.aux.size // self.aux.page,
            watermark=self.watermark,
            overwrite=int(self.snapshot),
            period=self.period,
            config=sum(bit for bit, on in bits if on),
            config1=self.event_filter,
            config2=self.min_latency,
            config3=0,
            config4=self.inv_data_src_filter,
            exclude_kernel=int(self.exclude_kernel),
            pmsidr=pmsidr,
            pmbidr=self.aux.align.bit_length() - 1,
            dfr0=_VERSIONS[self.spe] << 32,
        )


@dataclass(frozen=True, slots=True)
class KernelDriver:
    """A tree's driver, compiled, and what it programs for one event.

    `registers` are those that the run takes for given; `piece` is how many pages of the AUX area
    lie together, the largest allocation that the tree asked for. None of them is checked if
    `registers` is None.
    """

    path: str
    name: str
    setup: Setup
    piece: int = 1
    registers: tuple[tuple[int, int], ...] | None = None

    def start(self) -> DriverProgram:
        """A process for one vCPU's event."""
        return DriverProgram(Path(self.path), self.name, self.setup)

    @property
    def expected(self) -> dict[int, int] | None:
        """`registers` by number."""
        return None if self.registers is None else dict(self.registers)

    def register(self, reg: SysReg) -> int:
        """What the driver wrote to a register; 0 if nothing."""
        return (self.expected or {}).get(reg, 0)

    @property
    def interval(self) -> int:
        """PMSIRR_EL1.INTERVAL in ops."""
        return self.register(SysReg.PMSIRR) & _INTERVAL

    @property
    def random(self) -> bool:
        """PMSIRR_EL1.RND."""
        return bool(self.register(SysReg.PMSIRR) & _RND)

    @property
    def filters(self) -> dict[str, bool | int]:
        """PMSFCR, PMSEVFR and PMSLATFR as settings of `spe.filter`."""
        control = self.register(SysReg.PMSFCR)
        typed, events, late = bool(control & _FT), bool(control & _FE), bool(control & _FL)
        return {
            "load": typed and bool(control & _LD),
            "store": typed and bool(control & _ST),
            "branch": typed and bool(control & _B),
            "event_filter": self.register(SysReg.PMSEVFR) if events else 0,
            "min_latency": self.register(SysReg.PMSLATFR) if late else 0,
            "inv_data_src_filter": self.register(SysReg.PMSDSFR) ^ _ALL if control & _FDS else 0,
        }


def tree(path: str) -> Tree:
    """The tree at `path` as it is now; read once as long as none of its files changes."""
    return _read(path, _stamp(path))


def identity(path: str) -> str:
    """Of what a tree's driver is compiled from: equal identities, equal results."""
    return _digest(path, _stamp(path))


def driver(path: str, wanted: Wanted) -> KernelDriver:
    """The compiled driver of a tree and what it makes of an event; raises TreeError."""
    return _driver(path, _stamp(path), wanted)


def _stamp(path: str) -> tuple[int, ...]:
    files = (Path(path).expanduser() / name for name in FILES)
    stats = [file.stat() for file in files if file.is_file()]
    return tuple(value for each in stats for value in (each.st_mtime_ns, each.st_size, each.st_ino))


@lru_cache(maxsize=8)
def _read(path: str, stamp: tuple[int, ...]) -> Tree:
    return sources.read(path)


@lru_cache(maxsize=8)
def _digest(path: str, stamp: tuple[int, ...]) -> str:
    return building.digest(_read(path, stamp))


@lru_cache(maxsize=64)
def _driver(path: str, stamp: tuple[int, ...], wanted: Wanted) -> KernelDriver:
    found = _read(path, stamp)
    if wanted.discard and not found.discards:
        raise TreeError(
            f"driver.capture: the driver of {found.name} ({path}) has no discard mode; "
            "use capture: full or snapshot, or a newer tree"
        )
    program, setup = building.program(found), wanted.setup()
    registers, piece = _programmed(program, found.name, setup)
    made = KernelDriver(str(program), found.name, setup, piece, registers)
    if wanted.inv_data_src_filter and not made.filters["inv_data_src_filter"]:
        raise TreeError(
            f"spe.filter.inv_data_src_filter: the driver of {found.name} ({path}) has no filter by "
            "data source; remove it, or use a newer tree"
        )
    if made.interval == 0:
        raise TreeError(
            f"the driver of {found.name} programs PMSIRR_EL1.INTERVAL = 0 for a period of "
            f"{wanted.period} ops, for which the architecture knows no interval (it is UNKNOWN); "
            "use a longer spe.interval, or let the driver round it up"
        )
    return made


def _programmed(path: Path, name: str, setup: Setup) -> tuple[tuple[tuple[int, int], ...], int]:
    """What the driver writes when the event is first scheduled in, and its largest allocation."""
    program = DriverProgram(path, name, setup)
    written: dict[int, int] = {}
    try:
        program.ask(Operation.ADD)
        while (message := program.receive()).kind != Told.DONE:
            if message.kind == Told.WRITE:
                written[message.a] = message.b
            if message.kind in (Told.READ, Told.WRITE, Told.BEGIN, Told.STOPPING, Told.WAKE):
                program.answer(0)
    finally:
        program.close()
    if not written.get(SysReg.PMSCR):
        raise TreeError(f"the driver of {name} does not start its event on an empty AUX area")
    registers = tuple((int(reg), written[reg]) for reg in _FIXED if reg in written)
    return registers, 1 << program.order

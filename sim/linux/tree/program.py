"""One event of a kernel tree's driver: a child process, and the messages to and from it.

Fidelity note. Modelled: the tree's own code from module_init to the interrupt handler, on one CPU
with one event; what of perf's core it meets is in `shim.c`. A crash (SIGSEGV, BUG) or 10 s of CPU
time in one operation end the child, which says where; the simulator goes on. Not modelled: several
events on one CPU, frequency mode, hotplug. Rate-limited messages are not printed, and what they
would read is not read. Source: the user's tree; no parameter of its own.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from collections.abc import Callable
from dataclasses import astuple, dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from sim import children
from sim.cache import home
from sim.linux.tree import building
from sim.linux.tree.sources import TreeError


class Told(IntEnum):
    """What the child says: `enum kind` of shim.c."""

    READY = 0
    REFUSED = 1
    READ = 2
    WRITE = 3
    BEGIN = 4
    SKIP = 5
    AUX = 6
    ENDED = 7
    STOPPING = 8
    OFF = 9
    WAKE = 10
    DONE = 11
    SAY = 12
    WARNED = 13
    CRASHED = 14


class Operation(IntEnum):
    """What the child is asked to do: `enum command_kind` of shim.c."""

    ADD = 1
    DEL = 2
    INTERRUPT = 3


def _sys_reg(crm: int, op2: int) -> int:
    """sys_reg(3, 0, 9, crm, op2)."""
    return 3 << 19 | 9 << 12 | crm << 8 | op2 << 5


class SysReg(IntEnum):
    """System registers of SPE (Arm ARM D24.7), as sysreg.h encodes them."""

    PMSCR = _sys_reg(9, 0)
    PMSNEVFR = _sys_reg(9, 1)
    PMSICR = _sys_reg(9, 2)
    PMSIRR = _sys_reg(9, 3)
    PMSFCR = _sys_reg(9, 4)
    PMSEVFR = _sys_reg(9, 5)
    PMSLATFR = _sys_reg(9, 6)
    PMBLIMITR = _sys_reg(10, 0)
    PMBPTR = _sys_reg(10, 1)
    PMBSR = _sys_reg(10, 3)
    PMSDSFR = _sys_reg(10, 4)


class Message(NamedTuple):
    """One message of the child."""

    kind: int
    a: int
    b: int
    c: int
    d: int


_MESSAGE = struct.Struct("=5Q")
_COMMAND = struct.Struct("=3Q")
_SETUP = struct.Struct("=14Q")
_MOST_TEXT = 512


@dataclass(frozen=True, slots=True)
class Setup:
    """What an event and its hardware are like: `struct setup` of shim.c, in its order; bytes."""

    page_shift: int
    pages: int
    watermark: int
    overwrite: int
    period: int
    config: int
    config1: int
    config2: int
    config3: int
    config4: int
    exclude_kernel: int
    pmsidr: int
    pmbidr: int
    dfr0: int


class DriverDiedError(Exception):
    """The driver crashed or hangs; the message says how and where, as for a panic."""


def _nobody(text: str) -> None:
    """What the driver prints is not wanted."""


class DriverProgram:
    """A child process with the driver and one event; `area` is where its AUX area lies."""

    def __init__(self, path: Path, name: str, setup: Setup) -> None:
        """Probe the driver and open the event; raises TreeError if either fails."""
        self._path, self._name = path, name
        self._say: Callable[[str], None] = _nobody
        self._heard: list[str] = []
        try:
            self._child = children.serve([str(path)])
        except OSError as error:
            raise TreeError(
                f"{path}: {error.strerror}; set SPESKEW_CACHE to a folder whose programs may be run"
            ) from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.write(self._to, _SETUP.pack(*astuple(setup)))
        try:
            ready = self.receive()
        except DriverDiedError as error:
            raise TreeError(f"the driver of {name} died while it was probed: {error}") from error
        if ready.kind == Told.REFUSED:
            self.close()
            raise TreeError(self._refusal(ready))
        self.area, self.watermark, self.order = ready.a, ready.b, ready.c

    def _refusal(self, ready: Message) -> str:
        error = os.strerror(ready.b) if ready.b else "no PMU was registered"
        said = f" ({'; '.join(self._heard)})" if self._heard else ""
        if ready.a == 0:
            return f"the driver of {self._name} does not probe: {error}{said}"
        return (
            f"perf_event_open fails with the driver of {self._name}: {error}{said}; look at "
            "spe.filter, spe.version and driver.aux"
        )

    def ask(self, operation: Operation) -> None:
        """Begin an operation; messages follow, up to DONE."""
        self._send(_COMMAND.pack(operation, 0, 0))

    def answer(self, value: int) -> None:
        """The value that the child waits for."""
        self._send(value.to_bytes(8, "little" if _LITTLE else "big"))

    def _send(self, data: bytes) -> None:
        try:
            os.write(self._to, data)
        except BrokenPipeError:
            return  # the next message says why

    def receive(self) -> Message:
        """The next message that is not for a person; raises DriverDiedError."""
        while True:
            message = Message(*_MESSAGE.unpack(self._read(_MESSAGE.size)))
            match message.kind:
                case Told.SAY:
                    self._heard.append(self._read(message.b).decode("utf-8", "replace").strip())
                case Told.WARNED:
                    at = f"{self._read(message.b).decode('utf-8', 'replace')}:{message.a}"
                    home.say(f"{self._name} {at}", f"the driver of {self._name} warns: {at}")
                case Told.CRASHED:
                    raise DriverDiedError(self._crash(message))
                case _:
                    return message

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = os.read(self._from, size - len(data))
            if not more:
                code = self._child.wait()
                ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                raise DriverDiedError(f"the driver's process ended with {ended}")
            data += more
        return data

    def _crash(self, message: Message) -> str:
        frames = [
            int.from_bytes(self._read(8), "little" if _LITTLE else "big") for _ in range(message.d)
        ]
        at = building.place(self._path, message.c) if message.c else ""
        callers = [building.place(self._path, frame) for frame in frames]
        if message.a == signal.SIGVTALRM:
            what = "does not come back from an operation, after seconds of CPU time,"
        elif message.a == signal.SIGABRT:
            what = "hits BUG"
        else:
            what = f"gets {signal.Signals(message.a).name} for address {message.b:#x}"
        where = f"in {at}" if at else "at an unknown place"
        chain = f", called through {', '.join(callers[1:])}" if len(callers) > 1 else ""
        return f"the driver of {self._name} {what} {where}{chain}"

    def close(self) -> None:
        """End the child; more than once does no harm."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def __del__(self) -> None:
        """A run that was given up leaves no process behind."""
        if hasattr(self, "_child") and isinstance(self._child, subprocess.Popen):
            self.close()


_LITTLE = struct.pack("=H", 1) == b"\x01\x00"

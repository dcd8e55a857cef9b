"""What asks for an end waits, and comes then."""

from __future__ import annotations

import signal

import pytest

from sim.interrupts import ENDING, uninterrupted


def test_it_waits_for_the_end_of_the_block() -> None:
    """All of the block is done; then it comes, once, and the handlers are what they were."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = [signal.getsignal(number) for number in ENDING]
    done = []
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(1)
        assert done
        assert [signal.getsignal(number) for number in ENDING] == before
    finally:
        signal.signal(signal.SIGINT, usual)


def test_what_is_ignored_stays_ignored() -> None:
    """As under nohup(1)."""
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with uninterrupted():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, usual)

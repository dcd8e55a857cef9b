"""struct kvm_run and KVM_EXIT_RLIMIT as bytes (include/uapi/linux/kvm.h as of RFC v6 32/35).

The exit's union member is ``{__u64 excess; __u8 rlimit_id;}`` in a union padded to 256 bytes;
`excess` is in the unit of the limit: bytes for RLIMIT_MEMLOCK. The exit number 41 is the RFC's;
later kernel headers give 41 to KVM_EXIT_ARM_SEA, so a merged series will have another one.
"""

from __future__ import annotations

import struct

KVM_EXIT_RLIMIT = 41
RLIMIT_MEMLOCK = 8
EXIT_REASON_OFFSET = 8
UNION_OFFSET = 32
UNION_BYTES = 256
_RLIMIT = struct.Struct("<QB")
_REASON = struct.Struct("<I")


def kvm_run_rlimit(excess: int) -> bytes:
    """struct kvm_run of a KVM_EXIT_RLIMIT over RLIMIT_MEMLOCK by `excess` bytes."""
    run = bytearray(UNION_OFFSET + UNION_BYTES)
    _REASON.pack_into(run, EXIT_REASON_OFFSET, KVM_EXIT_RLIMIT)
    _RLIMIT.pack_into(run, UNION_OFFSET, excess, RLIMIT_MEMLOCK)
    return bytes(run)


def parse_kvm_run(run: bytes) -> tuple[int, int, int]:
    """(exit_reason, excess, rlimit_id) as a VMM reads them."""
    (reason,) = _REASON.unpack_from(run, EXIT_REASON_OFFSET)
    excess, rlimit_id = _RLIMIT.unpack_from(run, UNION_OFFSET)
    return reason, excess, rlimit_id

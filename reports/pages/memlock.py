"""How large RLIMIT_MEMLOCK must be, in words and as JSON: `analysis.cost.sizing`'s answer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from analysis.cost.sizing import LIBVIRT_HEADROOM, Sizing
from reports.text import aligned, hanging
from sim.units import div_up, format_size


@dataclass(frozen=True, slots=True)
class Said:
    """The answer by name; bytes, None where nothing is known or nothing applies."""

    design: str
    vcpus: int
    granule_bytes: int
    va_bits: int
    window_bytes: int
    memory_bytes: int
    huge_page_bytes: int | None
    charged: str
    charged_text: str
    source: str
    table_pages_least: int | None
    table_pages_most: int | None
    tables_shared_between_vcpus: bool | None
    tables_charged_per_vcpu: bool | None
    least_bytes: int | None
    guaranteed_bytes: int | None
    least_if_shared_tables_count_once_bytes: int | None
    guaranteed_if_base_pages_bytes: int | None
    guaranteed_if_contiguous_bytes: int | None
    max_buffer_bytes: int | None
    configuration_bytes: int | None
    limit_bytes: int | None
    vms: int
    host_total_bytes: int | None
    lines: dict[str, str]
    notes: list[str]


def as_json(answer: Sizing) -> str:
    """The answer as a JSON object."""
    return json.dumps(asdict(said(answer)), indent=1) + "\n"


def said(answer: Sizing) -> Said:
    """The answer as JSON names it."""
    request = answer.request
    windowed = answer.charge.charged.value == "window"
    return Said(
        design=request.design,
        vcpus=request.vcpus,
        granule_bytes=request.granule,
        va_bits=request.va_bits,
        window_bytes=request.window,
        memory_bytes=request.memory,
        huge_page_bytes=request.huge_page,
        charged=answer.charge.charged.value,
        charged_text=answer.charge.text,
        source=answer.charge.source,
        table_pages_least=answer.tables.least if windowed else None,
        table_pages_most=answer.tables.most if windowed else None,
        tables_shared_between_vcpus=True if windowed else None,
        tables_charged_per_vcpu=True if windowed else None,
        least_bytes=answer.least,
        guaranteed_bytes=answer.guaranteed,
        least_if_shared_tables_count_once_bytes=answer.least_shared,
        guaranteed_if_base_pages_bytes=answer.guaranteed_base_pages,
        guaranteed_if_contiguous_bytes=answer.guaranteed_contiguous,
        max_buffer_bytes=request.max_buffer,
        configuration_bytes=answer.configuration,
        limit_bytes=answer.limit,
        vms=request.vms,
        host_total_bytes=answer.host_total,
        lines=lines(answer),
        notes=notes(answer),
    )


def lines(answer: Sizing) -> dict[str, str]:
    """What to write where; nothing if there is no limit to write."""
    if not answer.limit:
        return {}
    limit = answer.limit
    whole = answer.charge.charged.value == "memory"
    hard_limit = LIBVIRT_HEADROOM + (limit if whole else answer.request.memory + limit)
    kib = div_up(hard_limit, 1024)
    return {
        "systemd": f"LimitMEMLOCK={limit}",
        "prlimit": f"prlimit --pid PID --memlock={limit}:{limit}",
        "docker": f"docker run --ulimit memlock={limit}:{limit}",
        "containerd": f"LimitMEMLOCK={limit}",
        "libvirt": f"<memtune><hard_limit unit='KiB'>{kib}</hard_limit></memtune>",
    }


def notes(answer: Sizing) -> list[str]:
    """What the figures leave out or rest on, in order of weight."""
    if answer.limit is None:
        return ["No limit can be given: what this design charges is not public."]
    if answer.limit == 0:
        return ["This design locks no memory: no limit is needed, and KVM_EXIT_RLIMIT never fires."]
    if answer.charge.charged.value == "memory":
        return [
            "The charge is made before the guest profiles: over the limit it is refused with "
            "-ENOMEM, and there is no KVM_EXIT_RLIMIT.",
            *_common(answer),
        ]
    return [*_window_notes(answer), *_common(answer)]


def _window_notes(answer: Sizing) -> list[str]:
    request = answer.request
    found = []
    if answer.oversize:
        found.append(
            "The window is larger than the maximum buffer: KVM pins nothing and reports a buffer "
            "management event to the guest. Raise --max-buffer or lower the AUX area."
        )
    if answer.charge.at_configuration:
        found.append(_configuration_note(answer))
    if request.huge_page is not None:
        found.append(
            "How KVM counts hugetlb pages is UNVERIFIED. The guaranteed figure counts whole huge "
            "pages, each page of the buffer and of its tables in another one, at most guest memory "
            "per vCPU."
        )
    found.append(
        f"Guaranteed means: wherever a guest of {request.va_bits}-bit addresses puts a window that "
        "is contiguous there, mapped by pages, if the VMM locks nothing else and KVM counts in "
        "pages of this size, as RFC v6 is understood. --va-bits for other guests."
    )
    found.append(
        "Stage 1 table pages are shared between vCPUs: Linux maps every AUX area in one kernel "
        "address space. The model charges each vCPU for all that it pins (UNVERIFIED for v6)."
    )
    return found


def _configuration_note(answer: Sizing) -> str:
    request = answer.request
    if request.max_buffer is None:
        return (
            "No charge at configuration is included. If the VMM sets a maximum buffer size, KVM "
            "charges it for every vCPU at once (-ENOMEM from the ioctl, no exit): add --max-buffer."
        )
    return (
        "The maximum buffer size is charged when the VMM sets it (-ENOMEM, no exit). A vCPU counts "
        "with the larger of that and what it pins, so the limit to write covers both."
    )


def _common(answer: Sizing) -> list[str]:
    found = [
        "The limit is counted per process, each VMM's own (mm->locked_vm): it is no budget of the "
        "host, and two containers of one user do not share it.",
        "Kubernetes has no field for it: a pod's VMM inherits the limit of containerd or CRI-O, so "
        "the containerd line goes into a drop-in of that unit, for every pod of the node, unless "
        "the runtime's hook or KubeVirt raises it with prlimit.",
    ]
    if answer.request.vms > 1:
        found.append(
            f"{answer.request.vms:,} such VMs lock at most {_bytes(answer.host_total or 0)} of the "
            "host together; that memory can neither be swapped nor moved."
        )
    return [
        *found,
        "What else the VMM locks (VFIO, mlock) comes on top. CAP_IPC_LOCK bypasses the limit "
        "(inferred from RFC v5).",
        "libvirt's hard_limit also caps all memory of the VM, so the line allows for the guest's "
        f"{_bytes(answer.request.memory)} (--memory) and 1 GiB for the VMM.",
    ]


def as_text(answer: Sizing) -> str:
    """The answer for a person."""
    out = [f"speskew memlock: {_title(answer)}", "a prediction; nothing here is measured", ""]
    for name, value in _rows(answer):
        out += hanging(f"  {name:<{_NAME}}", value, _WIDTH)
    made = lines(answer)
    if made:
        out += ["", "write one of"]
        out += [f"  {line}" for line in aligned([*made.items()])]
    out.append("")
    for note in notes(answer):
        out += hanging("* ", note, _WIDTH)
    return "\n".join(out) + "\n"


_NAME, _WIDTH = 38, 100


def _title(answer: Sizing) -> str:
    request = answer.request
    vcpus = f"{request.vcpus} vCPU" + ("s" if request.vcpus > 1 else "")
    window, granule = format_size(request.window), format_size(request.granule)
    return f"{request.design}, {vcpus}, windows of {window}, pages of {granule}"


def _rows(answer: Sizing) -> list[tuple[str, str]]:
    rows = [("charged", answer.charge.text), ("according to", answer.charge.source)]
    if answer.charge.charged.value == "window":
        tables = f"{answer.tables.least} to {answer.tables.most}, by alignment"
        rows.append(("stage 1 table pages of a window", tables))
    amounts = [
        ("least that can work", answer.least),
        ("  if shared tables count once", answer.least_shared),
        ("guarantees no KVM_EXIT_RLIMIT", answer.guaranteed),
    ]
    if answer.request.huge_page is not None:
        amounts += [
            ("  if base pages are counted", answer.guaranteed_base_pages),
            ("  if windows are contiguous", answer.guaranteed_contiguous),
        ]
    amounts += [
        ("charge at configuration", answer.configuration or None),
        ("limit to write" if answer.request.vms == 1 else "limit to write, each VMM", answer.limit),
    ]
    if answer.request.vms > 1:
        amounts.append((f"host's total, {answer.request.vms:,} VMs", answer.host_total))
    return rows + [(name, _bytes(value)) for name, value in amounts if value is not None]


def _bytes(count: int) -> str:
    exact = f"{count:,} B"
    readable = format_size(count)
    return exact if readable.endswith(" B") else f"{exact} ({readable})"

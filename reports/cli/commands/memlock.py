"""`speskew memlock`: the limit to write, with what it rests on."""

from __future__ import annotations

import click

from reports.cli import options
from reports.cli.output import put
from reports.exitcodes import ExitCode, table

DESIGNS = (
    "baremetal",
    "unpinned",
    "unpinned-error",
    "first-fault",
    "v3-mlock",
    "v5-memslot-lock",
    "v6",
    "v6-lazy-unpin",
    "bounce-buffer",
    "v7-guest-memfd",
    "v7-guest-memfd-untrapped",
    "spe-exc",
    "spe-nvm",
)
"""Keys of analysis.cost.sizing.CHARGES, which is not imported for --help."""


def _size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """``4MiB`` → bytes, as in scenarios."""
    from sim.units import UnitError, parse_size

    if value is None:
        return None
    try:
        size = parse_size(value)
    except UnitError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < size < 1 << 62:
        raise click.BadParameter(f"{value!r} is out of range: above 0, below 4 EiB")
    return size


@click.command("memlock", epilog=table())
@click.option("--vcpus", type=click.IntRange(1, 4096), required=True, help="vCPUs that profile.")
@click.option(
    "--vms",
    type=click.IntRange(1, 1 << 20),
    default=1,
    show_default=True,
    help="Such VMs on the host, each with a VMM of its own: the total is said too.",
)
@click.option(
    "--window", metavar="SIZE", callback=_size, help="Bytes between PMBPTR and PMBLIMITR."
)
@click.option(
    "--aux",
    metavar="SIZE",
    callback=_size,
    help="perf's AUX area per CPU; Linux programs half of it.",
)
@click.option(
    "--granule",
    type=click.Choice(["4KiB", "16KiB", "64KiB"]),
    default="4KiB",
    show_default=True,
    help="Page size of guest and host.",
)
@click.option(
    "--va-bits",
    type=click.Choice(["36", "39", "42", "47", "48", "52"]),
    default="48",
    show_default=True,
    help="Of the guest kernel's addresses (CONFIG_ARM64_VA_BITS): 52 needs a table level more "
    "with pages of 4KiB, 39 one less.",
)
@click.option("--design", type=click.Choice(DESIGNS), default="v6", show_default=True)
@click.option(
    "--max-buffer",
    metavar="SIZE",
    callback=_size,
    help="v6: maximum buffer size that the VMM sets per vCPU.",
)
@click.option(
    "--hugepages",
    metavar="SIZE",
    callback=_size,
    help="Size of the hugetlb pages behind guest memory.",
)
@click.option(
    "--memory",
    metavar="SIZE",
    callback=_size,
    default="16GiB",
    show_default=True,
    help="Guest memory.",
)
@options.form_option("text", "json")
@click.pass_context
def command(
    ctx: click.Context,
    vcpus: int,
    vms: int,
    window: int | None,
    aux: int | None,
    granule: str,
    va_bits: str,
    design: str,
    max_buffer: int | None,
    hugepages: int | None,
    memory: int,
    form: str,
) -> None:
    """How large RLIMIT_MEMLOCK must be for guests that profile with SPE.

    Give --window or --aux. Exit code 4: the design's accounting is not known, so nothing can be
    said. How many table pages a window needs depends on where the guest put it; the guaranteed
    figure holds wherever that is.
    """
    from analysis.cost import sizing
    from reports.pages.memlock import as_json, as_text
    from sim.units import parse_size

    if (window is None) == (aux is None):
        raise click.UsageError(
            "give one of --window (what the SPU gets) and --aux (perf's AUX area)"
        )
    page = parse_size(granule)
    try:
        request = sizing.Request(
            design=design,
            vcpus=vcpus,
            window=window or sizing.window_of_aux(aux or 0, page),
            granule=page,
            memory=memory,
            max_buffer=max_buffer,
            huge_page=hugepages,
            vms=vms,
            va_bits=int(va_bits),
        )
        answer = sizing.size(request)
    except sizing.SizingError as error:
        raise click.UsageError(str(error)) from error
    text = as_json(answer) if form == "json" else as_text(answer)
    put(text)
    ctx.exit(ExitCode.UNDECIDED if answer.limit is None else ExitCode.OK)

"""Findings of `speskew check` for people, programs, kernel CI (KTAP), build servers and mails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

from analysis.statistics.families import Finding, amount
from analysis.statistics.verdicts import Status, Verdict
from reports.exitcodes import ExitCode
from reports.pages.markdown import escaped, paragraph
from reports.text import hanging, printable

WIDTH = 100
_SKIPS = {Status.SKIP: " # SKIP", Status.UNDECIDED: " # SKIP UNDECIDED"}
"""What KTAP says of a check that decided nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and what came out."""

    scenario: str
    seed: int
    replications: int
    baseline: str
    findings: tuple[Finding, ...]
    code: ExitCode
    cells: int = 0
    """Of a sweep; the table then leaves out what passed."""
    changed: tuple[str, ...] = ()
    """Settings that are not the baseline's."""

    @property
    def stale(self) -> str:
        """That the baseline is of another scenario than this one is by now; empty if it is not."""
        return f"not the baseline's: {'; '.join(self.changed)}" if self.changed else ""

    def counts(self) -> dict[Status, int]:
        """How many checks have each verdict."""
        return {s: sum(f.verdict.status is s for f in self.findings) for s in Status}

    def summary(self) -> str:
        """``5 checks: 4 PASS, 1 SKIP``."""
        parts = [f"{n} {status.value}" for status, n in self.counts().items() if n]
        return f"{len(self.findings)} checks: {', '.join(parts) or 'the scenario has none'}"


def _wrapped(text: str, indent: str) -> str:
    return "\n".join(hanging(indent, printable(text), WIDTH, whole_words=True))


def as_table(report: Report) -> str:
    """Verdict and name, then the sentence; a warning below what it is about.

    Of a sweep only what did not pass: most cells do, and the other formats have everything.
    """
    cells = f"{report.cells} cells, " if report.cells else ""
    lines = [
        f"{printable(report.scenario)}: {cells}{report.replications} replications, seed "
        f"{report.seed}, predictions"
    ]
    if report.baseline:
        lines.append(f"baseline {printable(report.baseline)}")
    if report.stale:
        lines += hanging("", printable(report.stale), WIDTH, indent="  ", whole_words=True)
    for f in report.findings:
        if report.cells and f.verdict.status is Status.PASS:
            continue
        lines += ["", f"{f.verdict.status.value:<10} {printable(f.name)}"]
        lines.append(_wrapped(f.verdict.sentence, " " * 11))
        if f.warning:
            lines.append(_wrapped(f"warning: {f.warning}", " " * 11))
    return "\n".join([*lines, "", report.summary()]) + "\n"


def as_json(report: Report) -> str:
    """One object; each check with effect, interval, margin, n, unit, sentence."""
    document = {
        "scenario": report.scenario,
        "kind": "prediction",
        "seed": report.seed,
        "replications": report.replications,
        "baseline": report.baseline or None,
        "changed": list(report.changed),
        "exit_code": int(report.code),
        "checks": [finding.as_dict() for finding in report.findings],
    }
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def as_ktap(report: Report) -> str:
    """TAP version 13, as kselftest writes it; SKIP and UNDECIDED are skips that say which."""
    lines = ["TAP version 13", f"1..{len(report.findings)}"]
    for number, f in enumerate(report.findings, 1):
        status = f.verdict.status
        result = "not ok" if status is Status.FAIL else "ok"
        name = printable(f.name).replace("#", "_")
        skip = _SKIPS.get(status, "")
        lines.append(f"{result} {number} {name}{skip}")
        lines.append(f"# {printable(f.verdict.sentence)}")
        if f.warning:
            lines.append(f"# warning: {printable(f.warning)}")
    if report.stale:
        lines.append(f"# {printable(report.stale)}")
    counts = report.counts()
    lines.append(
        f"# Totals: pass:{counts[Status.PASS]} fail:{counts[Status.FAIL]} xfail:0 xpass:0 "
        f"skip:{counts[Status.SKIP] + counts[Status.UNDECIDED]} error:0"
    )
    return "\n".join(lines) + "\n"


def as_junit(report: Report) -> str:
    """JUnit XML: one test case per check."""
    counts = report.counts()
    suite = ElementTree.Element(
        "testsuite",
        name=printable(report.scenario),
        tests=str(len(report.findings)),
        failures=str(counts[Status.FAIL]),
        errors="0",
        skipped=str(counts[Status.SKIP] + counts[Status.UNDECIDED]),
    )
    for f in report.findings:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"speskew.{printable(report.scenario)}",
            name=printable(f.name),
        )
        status, sentence = f.verdict.status, printable(f.verdict.sentence)
        if status is Status.FAIL:
            ElementTree.SubElement(case, "failure", message=sentence, type=f.test)
        elif status is not Status.PASS:
            ElementTree.SubElement(case, "skipped", message=f"{status.value}: {sentence}")
        said = ElementTree.SubElement(case, "system-out")
        said.text = "\n".join(x for x in (sentence, printable(f.warning)) if x)
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suite, "unicode")}\n'


def as_markdown(report: Report) -> str:
    """A table for a merge request, the sentences below it."""
    lines = [
        f"# {escaped(report.scenario)}: {escaped(report.summary())}",
        "",
        f"Predictions, {report.replications} replications, seed {report.seed}.",
        *(("", paragraph(f"{report.stale}.".capitalize())) if report.stale else ()),
        "",
        "| verdict | check | effect | interval | margin | n |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for f in report.findings:
        v = f.verdict
        cells = (v.status.value, f.name, _effect(v), _interval(v), amount(v.margin, v.unit))
        lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} | {v.n} |")
    lines.append("")
    for f in report.findings:
        warning = f" Warning: {f.warning}." if f.warning else ""
        lines.append(f"* {paragraph(f'{f.verdict.sentence}.{warning}')}")
    return "\n".join(lines) + "\n"


def _effect(v: Verdict) -> str:
    return "–" if v.effect is None else amount(v.effect, v.unit)


def _interval(v: Verdict) -> str:
    if isinstance(v.interval, tuple):
        return " to ".join(amount(end, v.unit) for end in v.interval)
    return v.interval or "–"


FORMATS: dict[str, Callable[[Report], str]] = {
    "table": as_table,
    "json": as_json,
    "ktap": as_ktap,
    "junit": as_junit,
    "md": as_markdown,
}

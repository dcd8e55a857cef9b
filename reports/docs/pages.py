"""The pages of docs/reference, made from what the program itself reads: `make docs`.

Scenario keys come from the schema, numbers and columns from the dictionary, commands from click,
designs and parameters from their tables. Nothing on a page is written here but its introduction.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from analysis.columns import AXES, COLUMNS, DATA_TABLES, ENTRIES, TABLES, Column
from analysis.metrics import METRICS
from reports.cli.main import main as speskew
from reports.exitcodes import MEANING
from reports.store.files import replace
from reports.store.sweep_columns import SWEEP_COLUMNS, SWEEP_TABLES
from sim.ledger import LOSS_LABELS
from sim.scenario.files.schema import schema
from sim.scenario.models.designs import DESIGNS, Policies
from sim.scenario.parameters import FACTS, PARAMETERS, Parameter

Schema = dict[str, Any]
Lines = Iterator[str]
NOTE = "<!-- made by `make docs`; change the code instead -->"
CONFIDENCE = (
    "Confidence: H measured on an arm64 server or primary text read; M measured elsewhere, "
    "secondary or derived; L estimate. **UNVERIFIED**: no source exists, and reports show a badge."
)


def prose(text: object) -> str:
    """Text inside a table's cell or a paragraph: what Markdown would take for markup is escaped."""
    escaped = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("*", r"\*")
    return escaped.replace("|", r"\|").replace("\n", " ")


def code(text: object) -> str:
    """Text as it is typed; nothing for nothing."""
    return f"`{str(text).replace('|', chr(92) + '|')}`" if str(text) else ""


def paragraph(text: str) -> Lines:
    """A paragraph or a heading, and an empty line."""
    yield text
    yield ""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Lines:
    """A table of ready cells, and an empty line."""
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


# --- scenario --------------------------------------------------------------------------------


def scenario() -> Lines:
    """Every key of a scenario file."""
    whole = schema()
    definitions = whole["definitions"]
    yield from paragraph("# Scenario keys")
    yield from paragraph(
        "A scenario is a YAML file. Quantities carry their unit, as in `4ms`, `4MiB`, `1024ops`, "
        "`3GHz`, `1000/s`. Unknown keys are errors. `speskew validate FILE` "
        "is the judge, `speskew show FILE` prints every key as it resolves, and "
        "[scenario.schema.json](../../scenarios/scenario.schema.json) helps an editor."
    )
    yield from _keys("", whole["properties"], set(whole["anyOf"][0]["required"]), definitions)
    yield from paragraph("## An arm")
    arm = next(b for b in definitions["Arm"]["anyOf"] if "properties" in b)
    described = arm["properties"] | {
        "design": {"type": "string", "description": "a design: see [designs](designs.md)"},
        "policies": {"type": "object", "description": "see [policies](designs.md#policies)"},
        "overrides": {"type": "object", "description": definitions["Overrides"]["description"]},
    }
    yield from _key_table(described, set(arm["required"]))
    yield from paragraph("A bare design is short for `{design: NAME}`.")
    for title, key, name in _sections(whole["properties"], "", definitions):
        definition = definitions[name]
        yield from paragraph(f"## {title}")
        yield from paragraph(prose(definition["description"]))
        required = set(definition.get("required", []))
        yield from _keys(key, definition["properties"], required, definitions)


def _keys(key: str, properties: Schema, required: set[str], definitions: Schema) -> Lines:
    titles = {name: title for title, _, name in _sections(properties, key, definitions)}
    yield from _key_table(properties, required, titles)


def _key_table(
    properties: Schema, required: set[str], titles: dict[str, str] | None = None
) -> Lines:
    rows = (
        (code(name), _type(rule, titles or {}), _default(rule, name in required), _what(rule))
        for name, rule in properties.items()
    )
    yield from table(("key", "value", "default", "meaning"), rows)


def _what(rule: Schema) -> str:
    text = rule.get("description", "")
    return text if "](" in text else prose(text)


def _sections(properties: Schema, key: str, definitions: Schema) -> Iterator[tuple[str, str, str]]:
    """(title, dotted key, definition) of every mapping below a mapping, in the file's order."""
    for name, rule in properties.items():
        path = f"{key}.{name}" if key else name
        inner = rule.get("items", rule) if name != "arms" else {}
        path += "[]" if "items" in rule else ""
        if name == "parameters":
            path, inner = f"{path}.NAME", rule["additionalProperties"]["anyOf"][1]
        for branch in inner.get("oneOf", []):  # a mapping of any names to mappings of one kind
            if "$ref" in (named := branch.get("additionalProperties") or {}):
                path, inner = f"{path}.KEY", named
        for target in _targets(inner):
            yield _titled(path, definitions[target]["properties"]), path, target
            yield from _sections(definitions[target]["properties"], path, definitions)


def _titled(path: str, properties: Schema) -> str:
    """The path, and the value of the key that says which of several mappings it is."""
    for key in ("kind", "test"):
        if value := properties.get(key, {}).get("const"):
            return f"{path}, {key}: {value}"
    return path


def _targets(rule: Schema) -> Iterator[str]:
    for branch in [rule, *rule.get("anyOf", []), *rule.get("oneOf", [])]:
        if "$ref" in branch:
            yield branch["$ref"].rpartition("/")[2]


def _anchor(title: str) -> str:
    kept = (c for c in title.lower() if c.isalnum() or c in "-_ ")
    return "".join(kept).replace(" ", "-")


def _type(rule: Schema, titles: dict[str, str]) -> str:
    """What may be written: a link to a mapping's section, choices, or a kind of value."""
    if "items" in rule:
        named = [*_targets(rule["items"])]
        if not named:
            return "list"
        return "list of " + (_link(named[0], titles) if named[0] in titles else "[arms](#an-arm)")
    parts = [_link(name, titles) for name in _targets(rule)]
    for branch in [rule, *rule.get("oneOf", [])]:
        parts += [code(_yaml(choice)) for choice in branch.get("enum", [])]
        parts += [code(branch["const"])] if "const" in branch else []
        named_ones = _targets(branch.get("additionalProperties") or {})
        parts += [f"names with {_link(name, titles)}" for name in named_ones if name in titles]
    if any(branch.get("type") == "null" for branch in rule.get("anyOf", [])):
        parts.append("`null`")
    if "examples" in rule:
        parts.append(f"as {code(rule['examples'][0])}")
    return ", ".join(parts) or _plain_type(rule)


def _link(name: str, titles: dict[str, str]) -> str:
    title = titles[name]
    return f"[{title}](#{_anchor(title)})"


def _plain_type(rule: Schema) -> str:
    kind = str(rule.get("type", ""))
    if kind == "boolean":
        return "`true`, `false`"
    low = rule.get("minimum")
    high = rule.get("maximum", rule.get("exclusiveMaximum", 0) - 1)
    return f"{kind}, {low:,} to {high:,}" if low is not None else kind


def _default(rule: Schema, required: bool) -> str:
    """As it would be written; mappings have their own section."""
    if required or "default" not in rule:
        return "required" if required else ""
    return "" if isinstance(rule["default"], dict) else code(_yaml(rule["default"]))


def _yaml(value: object) -> str:
    """A scalar as YAML has it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- numbers and columns ---------------------------------------------------------------------


def metrics() -> Lines:
    """Every number of result.json."""
    yield from paragraph("# Numbers of `result.json`")
    yield from paragraph(
        "Paths are below `arms.<arm>`. `<…>` stands for any one name, `[]` for each item of a "
        'list. A `metric` is `{mean, ci95: [low, high] or "exact", n, unit}` over replications. '
        "`speskew explain NAME` prints the same."
    )
    yield from _columns(c for c in METRICS.values() if "ledger." not in c.name)
    yield from paragraph("## Ledgers")
    yield from paragraph(
        "Integer totals over replications and vCPUs, `ledger.<ledger>.<entry>`; each replication "
        "has its own under `replications[].ledger`. Of the ops, these are loss: "
        f"{', '.join(code(label.value) for label in LOSS_LABELS)}. A tick is 1/64 core cycle."
    )
    for name, entries in ENTRIES.items():
        yield from paragraph(f"### {name}")
        yield from _columns(entries)


def columns() -> Lines:
    """Every table of a run directory and of a sweep, and every column."""
    yield from paragraph("# Tables and columns")
    yield from paragraph(
        "A run directory holds these Parquet files. The last two are written with "
        "`--keep-records`. One name means one thing in every table; units and meanings are in the "
        "files' metadata too."
    )
    yield from _files(TABLES)
    yield from paragraph(
        "The figures of the report are drawn from these CSV files. An empty cell is no value, an "
        "empty `limit_bytes` no limit; rows of the theory without an `arm` are its curves."
    )
    yield from _files(DATA_TABLES)
    yield from paragraph(
        "A sweep's folder holds these. `cells.csv` has a column per setting behind `cell`; "
        "`sensitivity.csv` is written with `samples:`, and has the indices of its method."
    )
    yield from _files(SWEEP_TABLES)
    yield from paragraph("## Columns")
    yield from _columns((*COLUMNS.values(), *SWEEP_COLUMNS))
    yield from paragraph("## Axes")
    yield from paragraph("What figures draw besides: functions of columns, or named by `quantity`.")
    yield from _columns(AXES)


def _files(tables: Mapping[str, Iterable[str]]) -> Lines:
    yield from table(
        ("file", "columns"),
        ((code(name), ", ".join(map(code, found))) for name, found in tables.items()),
    )


def _columns(found: Iterable[Column]) -> Lines:
    rows = (
        (code(c.name), c.dtype, prose(c.unit), _with_values(prose(c.meaning), c.values))
        for c in found
    )
    yield from table(("name", "type", "unit", "meaning"), rows)


def _with_values(meaning: str, values: tuple[str, ...]) -> str:
    return f"{meaning}: {', '.join(map(code, values))}" if values else meaning


# --- commands --------------------------------------------------------------------------------


def cli() -> Lines:
    """Every command, argument and option."""
    yield from paragraph("# Commands")
    yield from paragraph("Data goes to stdout, everything else to stderr.")
    yield from table(
        ("exit code", "meaning"), ((str(c.value), prose(text)) for c, text in MEANING.items())
    )
    yield from _command(("speskew",), speskew)


def inner_commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Commands of a group by name, also those that are loaded when they are asked for."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield name, found


def _command(words: tuple[str, ...], command: click.Command) -> Lines:
    if len(words) > 1:
        yield from _head(words, command)
        yield from _options(command)
    if isinstance(command, click.Group):
        for name, inner in inner_commands(command):
            yield from _command((*words, name), inner)


def _options(command: click.Command) -> Lines:
    options = [p for p in command.params if isinstance(p, click.Option)]
    if options:
        rows = ((_spelt(o), _option_default(o), prose(o.help or "")) for o in options)
        yield from table(("option", "default", "meaning"), rows)


def _head(words: tuple[str, ...], command: click.Command) -> Lines:
    yield from paragraph(f"## {' '.join(words)}")
    arguments = [_argument(p) for p in command.params if isinstance(p, click.Argument)]
    yield "```"
    tail = ["[OPTIONS]", *arguments]
    if isinstance(command, click.Group):
        tail = ["[COMMAND …]" if command.invoke_without_command else "COMMAND …"]
    yield " ".join([*words, *tail])
    yield from paragraph("```")
    for part in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from paragraph(prose(part))


def _argument(argument: click.Argument) -> str:
    name = _choices(argument) or argument.metavar or str(argument.name).upper()
    name += " …" if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _choices(parameter: click.Parameter) -> str:
    kind = parameter.type
    return "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else ""


def _spelt(option: click.Option) -> str:
    value = "" if option.is_flag else f" {_choices(option) or _value(option)}"
    return ", ".join(code(name + value) for name in option.opts)


def _value(option: click.Option) -> str:
    return option.metavar or {"integer range": "N"}.get(option.type.name, option.type.name.upper())


def _option_default(option: click.Option) -> str:
    return code(option.default) if option.show_default else ""


# --- designs and parameters ------------------------------------------------------------------


def designs() -> Lines:
    """Every policy and every preset."""
    yield from paragraph("# Designs and policies")
    yield from paragraph(
        "A design is a bundle of policies. An arm takes a design and may override any of its "
        "policies: `{design: v6, policies: {unpin: never}}`. Where a series is silent the "
        "policy is our choice, and the design lists it as an open question. "
        "`speskew show design NAME` prints one."
    )
    yield from paragraph("## Policies")
    yield from _key_table(Policies.model_json_schema()["properties"], set())
    defaults = Policies().model_dump()
    for name, design in DESIGNS.items():
        yield from paragraph(f"## {name}")
        yield from paragraph(prose(design.what))
        chosen = {
            key: value
            for key, value in design.policies.model_dump().items()
            if value != defaults[key]
        }
        yield f"* Source: {prose(design.source)}."
        said = ", ".join(code(f"{k}: {_yaml(v)}") for k, v in chosen.items())
        yield f"* Policies that are not the default: {said or 'none'}."
        for question in design.questions:
            yield f"* Open: {prose(question)}."
        yield ""


def parameters() -> Lines:
    """Every default number with its source."""
    yield from paragraph("# Parameters")
    yield from paragraph(
        "Every default time of the model and where it comes from. A scenario overrides one with "
        "`parameters: {t_pin: 150ns}`. Each report prints those that its run used."
    )
    yield from paragraph(CONFIDENCE)
    yield from _parameters(PARAMETERS.values())
    yield from paragraph("## Defaults of settings")
    yield from paragraph("These are changed where they are set, not under `parameters`.")
    yield from _parameters(FACTS.values())


def _parameters(found: Iterable[Parameter]) -> Lines:
    for p in found:
        yield from paragraph(f"### {p.name}")
        yield from paragraph(f"{prose(p.meaning)}." + (" **UNVERIFIED**." if p.unverified else ""))
        unit = "" if p.unit == "time" else f" ({prose(p.unit)})"
        yield f"* Default: {code(p.value)}{unit}; plausible: {prose(p.range)}."
        yield f"* Source: {prose(p.source)}. Confidence {p.confidence}."
        if p.setting:
            yield f"* Set by {code(p.setting)}."
        yield ""


PAGES: dict[str, Callable[[], Lines]] = {
    "scenario": scenario,
    "metrics": metrics,
    "columns": columns,
    "cli": cli,
    "designs": designs,
    "parameters": parameters,
}
"""Pages by file name, without .md."""


def page(name: str) -> str:
    """The text of a page."""
    return "\n".join([NOTE, "", *PAGES[name]()]).rstrip("\n") + "\n"


def write(folder: Path) -> None:
    """All pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        replace(folder / f"{name}.md", page(name).encode())

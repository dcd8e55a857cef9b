"""The column dictionary: complete, and nothing in it that does not exist."""

from __future__ import annotations

from analysis.columns import AUX_COLUMNS, COLUMNS, ENTRIES, RECORD_COLUMNS, TABLES
from sim.ledger import LOSS_LABELS, Ledgers
from sim.results import AUX_DT, RECORD_DT


def test_records_and_aux_have_their_columns() -> None:
    """Names, order and types of RECORD_DT and AUX_DT."""
    assert [(c.name, c.dtype) for c in RECORD_COLUMNS] == [
        (name, RECORD_DT[name].name) for name in RECORD_DT.names or ()
    ]
    shared = ("vcpu", "tid")
    aux = (*(COLUMNS[name] for name in shared), *AUX_COLUMNS)
    assert [(c.name, c.dtype) for c in aux] == [
        (name, AUX_DT[name].name) for name in AUX_DT.names or ()
    ]


def test_every_ledger_entry_is_explained_in_order() -> None:
    """The ledgers' own names, no more, no fewer."""
    for part, entries in Ledgers().as_dict().items():
        assert [c.name for c in ENTRIES[part]] == list(entries)


def test_loss_labels_say_so() -> None:
    """The meaning of an ops label begins with LOSS if and only if it is one."""
    marked = {c.name for c in ENTRIES["ops"] if c.meaning.startswith("LOSS")}
    assert marked == {label.value for label in LOSS_LABELS}


def test_tables_name_columns_of_the_dictionary() -> None:
    """Every column of every file is in the dictionary; names are unique and have a meaning."""
    for columns in TABLES.values():
        assert set(columns) <= set(COLUMNS)
        assert len(set(columns)) == len(columns)
    assert all(c.meaning and c.name for c in COLUMNS.values())


def test_labels_have_the_unit() -> None:
    """Words for an axis, with the unit if there is one."""
    assert COLUMNS["lost_ops"].label == "lost ops (ops)"
    assert COLUMNS["arm"].label == "arm"

"""Tables that a sweep leaves and their columns: the column dictionary's part for sweeps."""

from __future__ import annotations

from analysis.columns import Column

SWEEP_COLUMNS = (
    Column("cell", "string", "", "id of a cell: its settings, and a hash of them"),
    Column("setting", "string", "", "dotted setting that is sampled"),
    Column("range_low", "string", "", "least value of its range"),
    Column("range_high", "string", "", "largest value of its range"),
    Column("scale", "string", "", "on which its values are equally likely", ("linear", "log")),
    Column("mu_star", "double", "as `unit`", "Morris: mean size of the effect of a whole range"),
    Column(
        "mu_star_conf",
        "double",
        "as `unit`",
        "half-width of the 95 % interval of mu_star over the points",
    ),
    Column("mu", "double", "as `unit`", "Morris: mean effect of a whole range, signed"),
    Column(
        "sigma",
        "double",
        "as `unit`",
        "Morris: standard deviation of the effect over the points; not 0 where other settings "
        "change it or the scale is not straight",
    ),
    Column("S1", "double", "fraction", "Sobol': part of the variance that a setting makes alone"),
    Column("S1_conf", "double", "fraction", "half-width of its 95 % interval over the points"),
    Column("ST", "double", "fraction", "Sobol': part of the variance together with the others"),
    Column("ST_conf", "double", "fraction", "half-width of its 95 % interval over the points"),
    Column(
        "noise",
        "double",
        "as the index",
        "what mu_star or ST would be if replications made all of it; empty with one",
    ),
    Column("clear", "bool", "", "mu_star or ST is more than twice the noise"),
    Column("why", "string", "", "why there are no indices; empty if there are"),
)
"""Columns that no table of a run has."""
SWEEP_TABLES = {
    "cells.csv": ("cell", "arm", "metric", "mean", "low", "high", "n", "unit"),
    "sensitivity.csv": (
        "arm",
        "metric",
        "unit",
        "replications",
        "setting",
        "range_low",
        "range_high",
        "scale",
        "mu_star",
        "mu_star_conf",
        "mu",
        "sigma",
        "S1",
        "S1_conf",
        "ST",
        "ST_conf",
        "noise",
        "clear",
        "why",
    ),
}
"""Files of a sweep's folder. `cells.csv` has a column per setting behind `cell`; `sensitivity.csv`
the indices of one method, and is there only with `samples`."""

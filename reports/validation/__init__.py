"""Simulated points beside the closed forms of the theory page: `python -m reports.validation DIR`.

Part of `make docs`. Each experiment is a small machine, REPLICATIONS times, whose numbers are set
against a form that shares nothing with the simulator but the settings. The table is written as CSV,
and every figure of docs/background/validation.md is drawn from it. Nothing is fitted.
"""

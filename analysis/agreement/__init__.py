"""Runs held against the closed forms of `analysis.theory`."""

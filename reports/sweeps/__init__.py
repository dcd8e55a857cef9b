"""Sweeps: cells run, put together, drawn as maps and effects, on a page of their own."""

"""Sweeps: many cells of one scenario, unit by unit, resumable, on any number of processes."""

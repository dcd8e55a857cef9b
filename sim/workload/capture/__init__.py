"""Real SPE captures: packets, perf.data files, symbols, surveys and workload profiles."""

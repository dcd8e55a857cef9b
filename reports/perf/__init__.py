"""perf.data and its SPE packets, byte by byte, from a run's records."""

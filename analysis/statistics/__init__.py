"""Statistics that know no simulator: intervals, verdicts, families of them, distributions."""

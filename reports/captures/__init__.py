"""Real SPE captures: opened, surveyed, written as spe-parser's tables."""

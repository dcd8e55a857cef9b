"""The run directory: every file of it written whole, and read back."""

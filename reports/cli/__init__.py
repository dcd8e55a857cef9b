"""The command line: `main` loads one file a verb from `commands`, by its name."""

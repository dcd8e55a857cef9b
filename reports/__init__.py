"""Everything a person or another tool reads: CLI, run directories, figures, pages."""

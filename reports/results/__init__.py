"""What result.json and its kin hold: classes, their schema, metrics by name."""

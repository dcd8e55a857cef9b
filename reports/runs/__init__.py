"""What `run`, `compare`, `record` and `report` do: simulate, describe, build again."""

"""What a scenario file may say, as frozen models: every key, unit, meaning and limit."""

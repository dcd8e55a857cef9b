"""Scenario: what the user asked for, as frozen models with every default's source."""

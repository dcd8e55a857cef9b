"""Scenario files: read with every error in its place, written back, described by a schema."""

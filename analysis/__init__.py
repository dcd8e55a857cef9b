"""Frames in, frames and verdicts out: losses, profiles, theory, verdicts."""

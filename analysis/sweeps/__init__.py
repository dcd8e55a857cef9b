"""Sweeps: the points drawn, what they are judged by, which setting matters, who is not beaten."""

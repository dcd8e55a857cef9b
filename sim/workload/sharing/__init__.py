"""Threads that share memory: streams of one process, and a directory that says who gave a line."""

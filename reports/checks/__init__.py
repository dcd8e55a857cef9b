"""`check` and `baseline`: claims decided, formats for people and CI, committed numbers."""

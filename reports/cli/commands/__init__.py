"""A file a verb: its options and its help; the work is imported when it runs."""

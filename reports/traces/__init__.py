"""What happened when: timelines of a replication, and their Perfetto trace."""

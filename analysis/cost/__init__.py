"""What a design costs: time added, memory locked, the limit that it needs."""

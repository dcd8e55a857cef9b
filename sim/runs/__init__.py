"""Many machines: arms, replications and cells as units of work, on any number of processes."""

"""What happens: the simulator proper. Integers only; start reading at `sim.engine`."""

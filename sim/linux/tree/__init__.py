"""The SPE driver of somebody's own kernel tree, compiled and run beside the simulator."""

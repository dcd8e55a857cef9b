"""The hypervisor's side: traps, exits, pinning, faults, locked memory."""

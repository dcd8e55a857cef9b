"""The host beside KVM: memory pressure, other VMs, the VMM, migration."""

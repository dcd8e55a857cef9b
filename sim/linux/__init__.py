"""The guest kernel's side: arm_spe_pmu and the perf AUX ring."""

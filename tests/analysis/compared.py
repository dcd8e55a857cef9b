"""A scenario of three arms under `restart: resync`, one pinned and one always cold."""

TEXT = """\
name: compared
replications: 4
workload:
  kind: synthetic
  phases:
    - {name: a, length: 100, iterations: 30000}
    - {name: b, length: 37, iterations: 50000, cpi_millis: 2000}
spe: {jitter: on, restart: resync}
driver: {aux: 16KiB}
switch: {every: 500us, away: 10us}
parameters: {t_irq_latency: 500ns} # open, it would move how many windows there are
vm: {max_buffer: unlimited, exits: 0/s}
arms:
  - design: baremetal
  - {design: v6, overrides: {host.memlock: 16KiB}}
  - {name: cold, design: unpinned, overrides: {host.unmap: per_window}}
"""

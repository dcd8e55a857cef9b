"""The Statistical Profiling Unit, in perf-arm-spe(1)'s five stages."""

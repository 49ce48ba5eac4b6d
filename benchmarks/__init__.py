"""What imgopt takes beside its peers, and whether that is what was promised.

`python -m benchmarks` prints one table of ratios, all of one run, and writes docs/benchmarks.md. One
module per figure; engines, images and archives are made once below `IMGOPT_BENCH_HOME` and kept. The
parent process imports little: what it holds in memory would count as its children's (`measuring`).
"""

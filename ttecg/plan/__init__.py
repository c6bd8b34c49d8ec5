"""What a training run would cost on machines that are not at hand: `ttecg plan --config FILE --topology v5e:16x16`.

The very step that `ttecg train` runs is compiled ahead of time for the named devices; what the compiler says of it,
and what is counted in its program, becomes memory, FLOPs, bytes, collectives and a lower bound on time per device.
"""

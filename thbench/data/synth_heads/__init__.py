"""SynthHeads: procedural talking heads with sound and known truth.

Importing this package imports nothing heavy. `dataset.clips_of` gives the clips of a split, `dataset.truth_of` what is
known of one, `make.make_split` makes a split.
"""

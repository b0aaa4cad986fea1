"""Small networks trained on synth-heads by the scripts in `train/`; never to be confused with the published ones."""

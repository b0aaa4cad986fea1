"""How the mini networks were trained: `python -m thbench.backbones.mini.train.<name>`."""

"""The shipped weights of KDTalker and MoDA are small."""

import pytest
from thbench_methods.kdtalker import bundle as kdtalker
from thbench_methods.moda import bundle as moda

FILES = {"kdtalker": kdtalker.FILE, "moda": moda.FILE}


@pytest.mark.parametrize("name", FILES)
def test_weights_are_small(name):
    files = [FILES[name], *(FILES["kdtalker"].parents[1] / "nets/liveportrait").glob("*.safetensors")]
    speech = FILES["moda"].parents[1] / "nets/speech/mini.safetensors"
    assert len(files) == 3 and sum(file.stat().st_size for file in [*files, speech]) < 6_000_000

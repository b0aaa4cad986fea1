"""How large EchoMimic's small weights are, and how often its networks run; what they reach is in the common bars."""

from thbench_methods.echomimic.bundle import ACC_FILE, FILE
from thbench_methods.echomimic.config import MINI, MINI_ACCELERATED


def test_weights_are_small() -> None:
    assert FILE.stat().st_size < 8_000_000 and ACC_FILE.stat().st_size < 8_000_000


def test_the_accelerated_one_calls_its_network_a_tenth_as_often() -> None:
    # Guidance doubles what is run in each of EchoMimic's steps.
    assert MINI.sampling.guidance > 1 and MINI_ACCELERATED.sampling.guidance == 1
    assert 10 * MINI_ACCELERATED.sampling.steps <= 2 * MINI.sampling.steps

"""The recipe and the reader against the reference reader that lies beside the fixtures, and against known values."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thbench.errors import UsageError
from thbench.parity import find_fixtures, read_fixture
from thbench.parity.fixture import FixtureError, build_input, cut
from thbench.parity.recipe import state_dict, tensor, uniform

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="module")
def reference(shared: Path) -> ModuleType:
    """The reader that was published with the fixtures."""
    folder = shared / "parity"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("reference_fixture", folder / "fixture.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def test_inputs_equal_the_reference_readers(reference: ModuleType, shared: Path) -> None:
    for folder in find_fixtures([shared / "parity"]):
        ours, theirs = read_fixture(folder), reference.load(folder)
        assert ours.inputs.keys() == theirs.inputs.keys()
        for name, array in theirs.inputs.items():
            assert ours.inputs[name].dtype == array.dtype, (folder.name, name)
            np.testing.assert_array_equal(ours.inputs[name], array, err_msg=f"{folder.name} {name}")


@pytest.mark.parametrize("name", ["metrics.syncnet", "dawn.pbnet_blink", "metrics.hopenet"])
def test_weights_equal_the_reference_readers(reference: ModuleType, shared: Path, name: str) -> None:
    ours, theirs = read_fixture(shared / "parity" / name).weights(), reference.load(shared / "parity" / name).weights()
    assert ours.keys() == theirs.keys()
    for key, array in theirs.items():
        np.testing.assert_array_equal(ours[key], array)
        assert ours[key].dtype == array.dtype and ours[key].shape == array.shape


def test_slices_equal_the_reference_readers(reference: ModuleType) -> None:
    array = np.arange(6 * 7 * 8).reshape(6, 7, 8)
    for text in ("", ":", "::4", ":, ::4, 2:9", "0:2", "..., ::3", "1:-1, :, -2:", "[:, 1:3]", "3"):
        np.testing.assert_array_equal(cut(array, text), reference.cut(array, text))


def test_values_do_not_depend_on_anything_but_name_shape_and_salt() -> None:
    shapes = {"a.weight": (3, 4), "b.bias": (5,)}
    backwards = state_dict(dict(reversed(shapes.items())), "s")
    for key, values in state_dict(shapes, "s").items():
        np.testing.assert_array_equal(values, backwards[key])
    assert not np.array_equal(tensor("a.weight", (3, 4), "s"), tensor("a.weight", (3, 4), "t"))
    assert not np.array_equal(tensor("a.weight", (3, 4), "s"), tensor("b.weight", (3, 4), "s"))


def test_each_kind_of_tensor_has_its_distribution() -> None:
    assert abs(tensor("x.weight", (400, 10, 10), "s").std() - 0.1) < 1e-3
    assert abs(tensor("x.weight", (4000,), "s").mean() - 1) < 0.01
    assert abs(tensor("x.bias", (4000,), "s").mean()) < 0.01
    assert tensor("x.running_var", (4000,), "s").min() >= 1
    counter = tensor("x.num_batches_tracked", (), "s")
    assert counter.dtype == np.int64 and counter.shape == () and counter == 0


@given(st.floats(-100, 100), st.floats(0.125, 100))
def test_uniform_numbers_stay_in_range(low: float, width: float) -> None:
    values = uniform("x", (50,), low, low + width, "s")
    assert values.dtype == np.float32
    assert values.min() >= np.float32(low) - 1e-4 and values.max() <= low + width + 1e-4


def test_casts_of_images_and_sound_floor_and_clip() -> None:
    image = build_input("x", {"shape": [1000], "low": -50, "high": 300, "cast": "uint8"}, "s")
    assert image.dtype == np.uint8 and image.min() == 0 and image.max() == 255
    entry = {"shape": [4, 2], "low": 0.0, "high": 1.0, "cumsum": 0, "repeat": [3, 1]}
    walk = build_input("x", entry, "s")
    assert walk.dtype == np.float64 and walk.shape == (12, 2)
    np.testing.assert_array_equal(walk[::3], np.cumsum(uniform("x", (4, 2), 0.0, 1.0, "s").astype(float), axis=0))


def test_damaged_fixtures_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FixtureError, match="cannot be read"):
        read_fixture(tmp_path)
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(FixtureError, match="cannot be read"):
        read_fixture(tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps({"target": "t"}))
    np.savez(tmp_path / "expected.npz", y=np.zeros(2))
    with pytest.raises(FixtureError, match="has no salt, inputs, outputs, tolerance"):
        read_fixture(tmp_path)
    spec = {"target": "t", "salt": "s", "inputs": {}, "outputs": {"z": {}}, "tolerance": 1}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(FixtureError, match="disagree about the outputs y, z"):
        read_fixture(tmp_path)


def test_folders_without_fixture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no fixture"):
        find_fixtures([tmp_path])
    with pytest.raises(UsageError, match="is not a folder"):
        find_fixtures([tmp_path / "absent"])

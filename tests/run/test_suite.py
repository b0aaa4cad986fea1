from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from thbench.errors import UsageError
from thbench.run.suite import builtin_suites, parse_variant, read_suite, select_variants

if TYPE_CHECKING:
    from pathlib import Path


def test_builtin_suites_name_methods_that_exist() -> None:
    suites = builtin_suites()
    assert "mini" in [suite.name for suite in suites]
    for suite in suites:
        assert len(select_variants(suite, None)) == len(suite.variants)


def test_a_variant_names_its_method_and_default_preset() -> None:
    variant = parse_variant("static-portrait")
    assert (variant.method, variant.preset, variant.accelerations) == ("static-portrait", "default", ())
    assert variant.name == "static-portrait"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("static-portait", "did you mean 'static-portrait'"),
        ("static-portrait@papre", "no preset 'papre'"),
        ("static-portrait+warp9", "no acceleration is called 'warp9'"),
        ("@x", "not of the form"),
        ("", "not of the form"),
    ],
)
def test_a_wrong_variant_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_variant(text)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("name = 'x'\ntitle='t'\nvariants=[]", "variants"),
        ("name = 'x'\ntitle='t'\nvariants=['a']\nsedes=[1]", "sedes"),
        ("name = 'x'\ntitle='t'\nvariants=['a']\nfps=0", "fps"),
        ("name = ", "not valid TOML"),
        ("name='x'\ntitle='t'\nvariants=['a']\nmissing_face='drop'", "missing_face"),
    ],
)
def test_a_wrong_suite_file_names_the_field(tmp_path: Path, toml: str, message: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(toml)
    with pytest.raises(UsageError, match=message):
        read_suite(str(path))


def test_unknown_suites_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'mini'"):
        read_suite("mni")
    with pytest.raises(UsageError, match="no suite file"):
        read_suite("nowhere.toml")


def test_only_selects_by_glob() -> None:
    suite = read_suite("mini")
    assert [v.method for v in select_variants(suite, "s*")] == ["static-portrait", "shuffled-audio"]
    with pytest.raises(UsageError, match="matches no variant"):
        select_variants(suite, "zzz*")

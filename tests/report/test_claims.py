"""Claims of a run folder: their layout, several files of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thbench.errors import UsageError
from thbench.report import claims as module
from thbench.report.claims import Claim, Claims, read_claims, write_claims

PASSED = {
    "method": "alpha", "statement": "twice as fast", "source": "Table 1", "expected": "2.0x", "measured": "2.1x",
    "verdict": "pass",
}  # fmt: skip


def put(path: Path, *claims: dict[str, object], **more: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"claims": claims, **more}), encoding="utf-8")


def test_several_files_are_one(tmp_path: Path) -> None:
    assert read_claims(tmp_path) is None
    put(tmp_path / "claims.json", PASSED)
    put(tmp_path / "claims" / "b.json", PASSED, PASSED | {"method": "beta"})
    write_claims(tmp_path, "a", [Claim(**PASSED | {"statement": "looks better"})])
    found = read_claims(tmp_path)
    assert found is not None
    assert [(c.method, c.statement) for c in found.claims] == [
        ("alpha", "twice as fast"), ("alpha", "looks better"), ("beta", "twice as fast"),
    ]  # fmt: skip


def test_writing_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    write_claims(tmp_path, "a", [Claim(**PASSED)])
    path = write_claims(tmp_path, "a", [Claim(**PASSED | {"measured": "1.2x", "verdict": "fail"})])
    found = read_claims(tmp_path)
    assert found is not None and [c.verdict for c in found.claims] == ["fail"]
    assert "null" not in path.read_text(encoding="utf-8")


def test_two_findings_of_one_claim_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "claims.json", PASSED)
    put(tmp_path / "claims" / "b.json", PASSED | {"measured": "0.9x", "verdict": "fail"})
    with pytest.raises(UsageError, match=r"claims\.json and .*b\.json differ in the claim 'twice as fast' of alpha"):
        read_claims(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured": None}, "'pass' needs what was measured"),
        ({"verdict": "fail", "measured": None}, "'fail' needs what was measured"),
        ({"verdict": "not tested"}, "'not tested' with something measured"),
        ({"verdict": "not tested", "measured": None}, "needs a reason"),
        ({"verdict": "cannot tell"}, "needs a reason"),
        ({"verdict": "perhaps"}, "Input should be 'pass', 'fail', 'cannot tell' or 'not tested'"),
        ({"statement": ""}, "at least 1 character"),
        ({"value": 2.1}, "Extra inputs"),
        ({"method": 3}, "valid string"),
    ],
)
def test_what_is_no_claim_is_refused_in_one_sentence(change: dict[str, object], said: str, tmp_path: Path) -> None:
    put(tmp_path / "claims" / "a.json", PASSED | change)
    with pytest.raises(UsageError, match=said) as caught:
        read_claims(tmp_path)
    assert "a.json is no file of claims" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{", '{"claims": [], "schema_version": 2}', '{"claim": []}'])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no file of claims"):
        read_claims(tmp_path)


def test_the_example_of_the_documentation_is_one() -> None:
    text = (module.__doc__ or "").partition("```json\n")[2].partition("```")[0]
    assert Claims.model_validate_json(text).claims[0].verdict == "fail"

"""The site without a browser: what its pages say, and that names stay text."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_helpers import MACHINE, board, cell, column, row
from site_material import METHODS, NASTY, write_run

from thbench.errors import UsageError
from thbench.report import Leaderboard, aggregate
from thbench.report.grid import clean
from thbench.report.names import base_of, method_of, slug
from thbench.report.reading import leaderboard_from, read_leaderboard
from thbench.report.schema import schema_text
from thbench.report.site.build import read_data, write_data, write_pages
from thbench.report.site.collect import cards_of, clip_tables
from thbench.report.site.comparing import compare_runs, comparison_view
from thbench.report.site.data import Claim, Claims, SiteData
from thbench.report.site.histogram import histogram
from thbench.report.site.pages import pages_of
from thbench.report.site.svg import element, polyline, ticks
from thbench.report.tradeoff import pareto_front
from thbench.report.write import to_json
from thbench.run.store import RunStore

ROOT = Path(__file__).parents[2]
VOID = {"meta", "link", "input", "img", "br", "wbr", "hr"}


class Page(HTMLParser):
    """Text, tags and attributes of a page; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def site_data(store: RunStore, **changes: object) -> SiteData:
    contents = store.read()
    leaderboard = aggregate(contents.records, contents.info, resamples=99)
    made = SiteData(
        leaderboard=leaderboard, clips=clip_tables(contents.records, contents.info), cards=cards_of(leaderboard)
    )
    return made.model_copy(update=changes)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SiteData:
    return site_data(write_run(tmp_path_factory.mktemp("site") / "run"))


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> SiteData:
    """Rows whose names are traps, with the same names as clips, people, claims and warnings."""
    data = site_data(write_run(tmp_path_factory.mktemp("nasty") / "run", extra=NASTY, clips=2))
    claims = [
        Claim(method=method_of(n), statement=n, source=n, expected=n, measured=n, verdict="fail", reason=n, variant=n)
        for n in NASTY
        if method_of(n)
    ]
    tables = {v: t.model_copy(update={"clips": NASTY[:2], "identities": NASTY[2:4]}) for v, t in data.clips.items()}
    traps = {"name": NASTY[0], "warnings": NASTY}
    leaderboard = data.leaderboard.model_copy(update=traps)
    return data.model_copy(update={"leaderboard": leaderboard, "clips": tables, "claims": Claims(claims=tuple(claims))})


def pages(data: SiteData) -> dict[str, str]:
    return {name: text for name, text in pages_of(data) if name.endswith(".html")}


def test_every_cell_of_the_leaderboard_is_in_the_page_without_javascript(plain: SiteData) -> None:
    text = pages(plain)["index.html"]
    for one in plain.leaderboard.rows:
        assert one.variant in Page(text).text
    found = re.findall(r'<td data-m="([^"]+)"[^>]*>(.*?)</td>', text)
    assert len(found) == len(plain.leaderboard.rows) * len(plain.leaderboard.columns)
    shown = [Page(content).text for _, content in found]
    counts = [f"{c.scored}/{c.total}" for r in plain.leaderboard.rows for c in r.cells.values()]
    assert sorted(w for text in shown for w in re.findall(r"\d+/\d+", text)) == sorted(counts)
    assert "[∞, ∞]" in " ".join(shown)
    assert not re.search(r"\bnan\b|None|undefined", " ".join(shown))


def test_protocols_stand_in_full(plain: SiteData) -> None:
    text = Page(pages(plain)["index.html"]).text
    for one in plain.leaderboard.columns:
        assert one.protocol in text
        assert one.source in text


def test_ground_truth_and_baselines_are_set_apart(plain: SiteData) -> None:
    text = pages(plain)["index.html"]
    bodies = dict(re.findall(r'<tbody class="([a-z-]+)">(.*?)</tbody>', text, re.DOTALL))
    assert list(bodies)[:3] == ["ground-truth", "baseline", "method"]
    assert "ground-truth" in bodies["ground-truth"] and "static-portrait" in bodies["baseline"]
    assert all(slug(name) in bodies["method"] for name in METHODS)


def test_links_lead_somewhere_and_nothing_leaves_the_page(plain: SiteData, tmp_path: Path) -> None:
    write_report(plain, tmp_path)
    for path in tmp_path.rglob("*.html"):
        for tag, attributes in Page(path.read_text(encoding="utf-8")).tags:
            target = attributes.get("href") or attributes.get("src")
            if target is None or target.startswith("data:"):
                continue
            assert not re.match(r"[a-z]+:|//", target), (tag, target)
            file = target.partition("#")[0]
            assert not file or (path.parent / file).exists() or file.startswith("../../leaderboard."), target
            assert "#" not in target or f'id="{target.partition("#")[2]}"' in path.read_text(encoding="utf-8")


def write_report(data: SiteData, folder: Path) -> None:
    for ending in ("csv", "md", "tex"):
        (folder / f"leaderboard.{ending}").touch()
    (folder / "leaderboard.json").write_text(to_json(data.leaderboard), encoding="utf-8")
    write_data(data, folder)
    write_pages(data, folder)


def test_pages_can_be_made_again_from_the_data_beside_them(nasty: SiteData, tmp_path: Path) -> None:
    write_report(nasty, tmp_path)
    for name, text in pages_of(read_data(tmp_path)):
        assert (tmp_path / name).read_text(encoding="utf-8") == text, name


def test_names_are_text_everywhere(nasty: SiteData) -> None:
    for name, text in pages(nasty).items():
        page = Page(text)
        tags = {tag for tag, _ in page.tags}
        assert tags.isdisjoint({"b>", "iframe", "object"})
        assert [a for tag, a in page.tags if tag == "img"] == []
        assert all("src" in a for tag, a in page.tags if tag == "script"), name
        assert not any(key.startswith("on") for _, a in page.tags for key in a)
        assert not any(str(a.get("href", "")).startswith("javascript:") for _, a in page.tags)
        assert "\u202e" not in text
    index = Page(pages(nasty)["index.html"]).text
    for name in NASTY:
        assert " ".join(clean(name).split()) in index
    assert "49" not in Page(pages(nasty)["index.html"]).text.partition("ticks")[2][:20]


def test_pages_forbid_what_they_do_not_need(plain: SiteData) -> None:
    for text in pages(plain).values():
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert "style=" not in text


def test_claims_stand_on_the_page_of_their_method(plain: SiteData) -> None:
    claim = Claim(
        method="alpha", statement="twice as fast", source="Table 1", expected="2.0x", measured="1.7x", verdict="fail"
    )
    data = plain.model_copy(update={"claims": Claims(claims=(claim,))})
    made = pages(data)
    assert all(
        word in Page(made[page_of("alpha@mini+fast")]).text for word in ("twice as fast", "2.0x", "1.7x", "fail")
    )
    assert "twice as fast" not in made[page_of("beta@mini")]


def page_of(variant: str) -> str:
    return f"site/methods/{slug(variant)}.html"


def test_a_method_page_shows_failures_clips_and_the_variant_without_acceleration(plain: SiteData) -> None:
    made = pages(plain)
    beta = Page(made[page_of("beta@mini")]).text
    assert 'it said "<no frames>"' in beta
    assert "not run" in beta and "needs weights <none>" in beta
    assert "Without acceleration" in Page(made[page_of("alpha@mini+fast")]).text
    assert "Without acceleration" not in Page(made[page_of("alpha@mini")]).text


def test_clip_tables_choose_as_the_leaderboard_does(plain: SiteData) -> None:
    for one in plain.leaderboard.rows:
        table = plain.clips[one.variant]
        for id_, known in one.cells.items():
            values = [v for v in table.values[id_] if v is not None]
            assert len(values) == known.scored
            if known.value is not None:
                assert known.value == pytest.approx(sum(values) / len(values))
            assert sum(len(places) for places in table.missing.get(id_, {}).values()) == known.total - known.scored


@settings(deadline=None)
@given(st.text(max_size=300))
def test_slugs_are_safe_file_names(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,60}", slug(name))


def test_slugs_keep_names_apart() -> None:
    names = [*NASTY, "a b", "a-b", "A-b", "a_b", "a" * 199, "a" * 200]
    assert len({slug(name) for name in names}) == len(names)


def test_parts_of_a_variant() -> None:
    assert (method_of("hallo@mini+lightningcp"), base_of("hallo@mini+lightningcp")) == ("hallo", "hallo@mini")
    assert (method_of("plain"), base_of("plain"), base_of("+x")) == ("plain", None, None)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_front_holds_what_nothing_beats(costs: dict[str, tuple[float, float]]) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    assert pareto_front(costs) == {n for n in costs if not any(beats(other, costs[n]) for other in costs.values())}


@settings(deadline=None)
@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 9))
def test_ticks_are_round_and_inside(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert len(found) <= most + 1
    # Ticks are no finer than floats of this size are.
    slack = span * 1e-6 + 8 * math.ulp(max(abs(low), abs(low + span)))
    assert all(low - slack <= tick <= low + span + slack for tick in found)


def test_svg_escapes_and_breaks_lines_where_values_lack() -> None:
    assert str(element("text", "<b>", title='"')) == '<text title="&#34;">&lt;b&gt;</text>'
    assert polyline([(0, 1), (1, None), (2, math.nan), (3, 4), (4, 5)]) == "M0 1M3 4L4 5"


def test_a_histogram_needs_a_finite_value() -> None:
    assert histogram([None, math.inf], None, None) is None
    few, many = histogram([1.0, 2.0, None], 1.5, math.inf), histogram([float(i) for i in range(99)], None, 3.0)
    assert few is not None and few.count("<circle") == 2 and 'class="real"' in few
    assert many is not None and "bars" in many and "<circle" not in many


class TestComparison:
    @pytest.fixture(scope="class")
    @staticmethod
    def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[SiteData, SiteData]:
        folder = tmp_path_factory.mktemp("two")
        return site_data(write_run(folder / "a", shift=2.0)), site_data(write_run(folder / "b"))

    def test_what_moved_is_told_from_what_did_not(self, runs: tuple[SiteData, SiteData]) -> None:
        ours, theirs = runs
        found = compare_runs(ours.leaderboard, ours.clips, theirs.leaderboard, theirs.clips)
        said = {(d.variant, d.column): d for d in found.deltas}
        moved = said["alpha@mini", "lse-c/x"]
        assert moved.difference == pytest.approx(2.0) and moved.pairs == 8
        assert said["alpha@mini", "psnr"].difference == 0
        words = {(v, d.column): d.word for v, lines in comparison_view(found).variants for d in lines}
        assert words["alpha@mini", "lse-c/x"] == "better"
        assert words["alpha@mini", "psnr"] == "not told apart"
        assert words["alpha@mini", "fid/none"] == "cannot tell"
        assert words["ground-truth", "lse-c/x"] == "not told apart"

    def test_turned_around_it_says_the_opposite(self, runs: tuple[SiteData, SiteData]) -> None:
        ours, theirs = runs
        found = compare_runs(theirs.leaderboard, theirs.clips, ours.leaderboard, ours.clips)
        words = {(v, d.column): d.word for v, lines in comparison_view(found).variants for d in lines}
        assert words["alpha@mini", "lse-c/x"] == "worse"

    def test_other_protocols_and_rows_are_named(self, runs: tuple[SiteData, SiteData]) -> None:
        ours, theirs = runs
        changed = [
            c.model_copy(update={"protocol": "other"}) if c.id == "psnr" else c for c in theirs.leaderboard.columns
        ]
        rows = [r for r in theirs.leaderboard.rows if r.variant != "beta@mini"]
        other = theirs.leaderboard.model_copy(update={"columns": tuple(changed), "rows": tuple(rows)})
        found = compare_runs(ours.leaderboard, ours.clips, other, theirs.clips)
        assert any(text.startswith("psnr:") for text in found.apart)
        assert any(text.startswith("beta@mini:") for text in found.apart)
        assert "psnr" not in {d.column for d in found.deltas}
        data = ours.model_copy(update={"comparison": found})
        assert "What cannot be compared" in Page(pages(data)["site/compare.html"]).text


class TestLayout:
    def test_the_schema_of_the_newest_version_is_the_committed_one(self) -> None:
        newest = Leaderboard.model_fields["schema_version"].default
        committed = (ROOT / "thbench" / "report" / "schemas" / f"leaderboard-{newest}.json").read_text(encoding="utf-8")
        assert committed == schema_text(), "a changed layout needs a new schema_version, or the new schema committed"

    def test_files_fit_their_schema(self, plain: SiteData) -> None:
        jsonschema = pytest.importorskip("jsonschema")
        schemas = ROOT / "thbench" / "report" / "schemas"
        old = json.loads((ROOT / "tests" / "fixtures" / "leaderboard-v1.json").read_text(encoding="utf-8"))
        second = json.loads((ROOT / "tests" / "fixtures" / "leaderboard-v2.json").read_text(encoding="utf-8"))
        for version, content in ((1, old), (2, second), (3, json.loads(to_json(plain.leaderboard)))):
            schema = json.loads((schemas / f"leaderboard-{version}.json").read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(schema).validate(content)
            broken = content | {"rows": [{"variant": 1}]}
            assert not jsonschema.Draft202012Validator(schema).is_valid(broken)

    def test_version_1_is_read(self) -> None:
        found = read_leaderboard(ROOT / "tests" / "fixtures" / "leaderboard-v1.json")
        assert [one.variant for one in found.rows] == ["ground-truth", "static-portrait", "dreamtalk@mini"]
        assert found.row("ground-truth").cells["psnr"].value == math.inf

    def test_version_2_is_read(self) -> None:
        found = read_leaderboard(ROOT / "tests" / "fixtures" / "leaderboard-v2.json")
        assert found.schema_version == 2 and found.costs == () and found.comparisons
        assert all(text for text in pages(SiteData(leaderboard=found)).values())

    @pytest.mark.parametrize("content", [[], {"schema_version": 99}, {"schema_version": "x"}, {"schema_version": 1}])
    def test_what_is_no_leaderboard_is_refused(self, content: object, tmp_path: Path) -> None:
        with pytest.raises(ValueError):
            leaderboard_from(content)
        (tmp_path / "leaderboard.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(UsageError, match="is no leaderboard"):
            read_leaderboard(tmp_path / "leaderboard.json")


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_cell_is_shown_as_text(chance: random.Random) -> None:
    """NaN never reaches a page; infinities and missing values do, as text, and break nothing."""
    numbers = [math.inf, -math.inf, None, 0.0, -0.0, 1e-300, 1e300, 5e-324, 123456789.123]
    columns = [
        column(f"c{i}", direction=d, unit=NASTY[0]) for i, d in enumerate(("higher", "lower", "closer-to-real", "none"))
    ]
    rows = [
        row(name, kind, **{c.id: cell(chance.choice(numbers), note=chance.choice([None, NASTY[0]])) for c in columns})
        for name, kind in zip(NASTY[:6], itertools.cycle(["ground-truth", "baseline", "method"]), strict=False)
    ]
    for text in pages(SiteData(leaderboard=board(columns, *rows, environments=(MACHINE,)))).values():
        assert "<img" not in text
        assert not re.search(r"\bnan\b", Page(text).text)

"""The site in a real Chromium: sorting, filtering, the player's clock, the keyboard, accessibility, and full size.

Short form where a Chromium and Playwright are found; the long form is `full`.
"""

from __future__ import annotations

import functools
import http.server
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from site_material import NASTY, add_costs, add_videos, write_large_run, write_run

from thbench.report.names import slug
from thbench.report.site import write_site
from thbench.report.write import leaderboard_of, write_files
from thbench.run.store import merge

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra browser: pip install 'thbench[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path: apt-get install chromium")
SERIOUS = {"serious", "critical"}
ENOUGH = 50
"""Pictures in 2.5 s from which a clock can be judged."""
WAIT = 60_000
"""Milliseconds: a busy machine is slow, not wrong."""


@dataclass
class Watched:
    """A page with everything that it complained about or asked for."""

    page: sync_api.Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def calm(self, root: str) -> None:
        """No complaint, and no request that leaves the report."""
        assert self.console == []
        assert [url for url in self.requests if not url.startswith((root, "data:", f"blob:{root}"))] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small report with videos, a comparison, and rows of dangerous names."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("browser")
    store = write_run(folder / "run", extra=NASTY[:2], clips=8)
    add_videos(store, clips=1)
    add_costs(folder / "run")
    other = write_run(folder / "other", shift=1.0)
    contents, beside = merge([store.folder]), merge([other.folder])
    leaderboard = leaderboard_of(contents)
    write_files(leaderboard, folder / "run")
    write_site(contents, leaderboard, folder / "run", clips=1, against=(beside, leaderboard_of(beside)))
    return folder / "run"


@pytest.fixture
def served(report: Path) -> Iterator[str]:
    """The report behind an ordinary web server on this machine."""
    handler = functools.partial(Quiet, directory=str(report))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves without a word."""

    def log_message(self, format: str, *args: object) -> None:
        return


def opened(browser: sync_api.Browser, url: str, *, width: int = 1280, **options: object) -> Watched:
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT)
    watched = Watched(context.new_page())
    watched.page.on("console", lambda message: watched.console.append(f"{message.type}: {message.text}"))
    watched.page.on("pageerror", lambda error: watched.console.append(str(error)))
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    watched.page.goto(url, timeout=WAIT)
    return watched


def until(page: sync_api.Page, condition: str) -> None:
    """Wait for a condition; Playwright's own way evaluates text within the page, which its policy forbids."""
    last = time.monotonic() + WAIT / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < last, condition
        page.wait_for_timeout(100)


def names(page: sync_api.Page, body: str = "method") -> list[str]:
    return page.eval_on_selector_all(
        f"#leaderboard tbody.{body} tr:not(.kind):not([hidden]) th[scope=row]", "cells => cells.map(c => c.textContent)"
    )


def keys(page: sync_api.Page, metric: str) -> list[float | None]:
    return page.eval_on_selector_all(
        f'#leaderboard tbody.method td[data-m="{metric}"]',
        "cells => cells.map(c => c.dataset.k === undefined ? null : Number(c.dataset.k))",
    )


def test_sorting_filtering_and_keyboard_from_a_file(browser: sync_api.Browser, report: Path) -> None:
    """The whole path of a reader in one page load, without touching the mouse."""
    watched = opened(browser, (report / "index.html").as_uri())
    page = watched.page
    page.wait_for_selector("html[data-ready]")
    before = names(page)
    button = page.locator('#leaderboard th:has(button[aria-label="Protocol of lse-c/x"]) button.sort')
    button.focus()
    for order in ("descending", "ascending"):
        page.keyboard.press("Enter")
        found = keys(page, "lse-c/x")
        known = [key for key in found if key is not None]
        assert known == sorted(known, reverse=order == "ascending")
        assert found[len(known) :] == [None] * (len(found) - len(known))
        assert button.locator("xpath=ancestor::th").get_attribute("aria-sort") == order
        assert names(page, "ground-truth") == ["ground-truth"]
    page.keyboard.press("Enter")
    assert names(page) == before

    page.locator("#filter").focus()
    page.keyboard.type("alpha fast")
    assert names(page) == ["alpha@mini+fast"]
    page.locator("#filter").fill("")

    panel = page.locator('button[aria-label="Protocol of lse-c/x"]')
    panel.focus()
    page.keyboard.press("Enter")
    shown = page.locator("section.panel:popover-open")
    assert '"p" <b>&' in shown.inner_text()
    page.keyboard.press("Escape")
    assert shown.count() == 0

    page.keyboard.press("Home")
    page.locator("body").press("Tab")
    assert page.title().endswith("thbench")
    watched.calm(report.as_uri())
    page.context.close()


def test_columns_are_chosen_and_pages_read_without_javascript(browser: sync_api.Browser, served: str) -> None:
    watched = opened(browser, served, java_script_enabled=False)
    page = watched.page
    cells = page.locator('td[data-m="lse-c/x"] .v')
    assert cells.first.is_visible()
    page.locator("input.s0").uncheck()
    assert not cells.first.is_visible()
    page.locator("input.s0").check()
    page.locator('button[aria-label="Protocol of lse-c/x"]').click()
    assert page.locator("section.panel:popover-open").count() == 1
    page.goto(f"{served}site/videos.html", timeout=WAIT)
    assert page.locator("video[controls]").count() == page.locator("video").count() > 0
    watched.calm(served)
    page.context.close()


DRIFT = """
async (seconds) => {
  const scene = window.thbenchScenes[0];
  await scene.play();
  const began = performance.now();
  const seen = [];
  while (performance.now() - began < seconds * 1000 && scene.playing) {
    await new Promise(requestAnimationFrame);
    const lead = scene.lead.currentTime;
    if (scene.videos.every((v) => v.currentTime)) {
      const running = scene.videos.filter((v) => !v.ended);
      seen.push(Math.max(...running.map((v) => Math.abs(v.currentTime - lead) * scene.fps)));
    }
  }
  const at = scene.lead.currentTime;
  scene.stop();
  return { seen, at, videos: scene.videos.length };
}
"""


@pytest.mark.parametrize("share", [0.95, pytest.param(1.0, marks=pytest.mark.full)])
def test_videos_run_on_one_clock(browser: sync_api.Browser, served: str, share: float) -> None:
    """Less than a frame apart from the first picture on: in 95 of 100, and in all where the machine is quiet."""
    watched = opened(browser, f"{served}site/videos.html")
    page = watched.page
    until(page, "window.thbenchScenes && window.thbenchScenes.length")
    page.keyboard.press("ArrowRight")
    until(page, "window.thbenchScenes[0].videos.every((v) => v.readyState >= 2 && !v.seeking && v.currentTime)")
    times = page.evaluate("window.thbenchScenes[0].videos.map((v) => v.currentTime)")
    assert max(times) == min(times) == pytest.approx(1.5 / 25, abs=1e-3), "one step is one frame, in every video"
    found = page.evaluate(DRIFT, 3.5)
    assert found["videos"] >= 5
    drift = sorted(found["seen"])
    told = (
        f"{found['videos']} videos, {len(drift)} pictures, frames apart: median {drift[len(drift) // 2 :][:1]}, "
        f"95 % {drift[len(drift) * 95 // 100 :][:1]}, worst {drift[-1:]}"
    )
    print(told)
    if len(drift) < ENOUGH:
        pytest.skip(f"this machine is too busy to show videos: {told}")
    assert drift[min(int(len(drift) * share), len(drift) - 1)] < 1.0, told
    until(page, "window.thbenchScenes[0].videos.every((v) => v.paused && !v.seeking)")
    times = page.evaluate("window.thbenchScenes[0].videos.map((v) => v.currentTime)")
    assert (max(times) - min(times)) * 25 < 1.0, "paused, all show the same instant"
    moved = page.evaluate("document.querySelector('.playhead').getAttribute('transform')")
    assert moved != "translate(0.00 0)"
    heard = page.evaluate("window.thbenchScenes[0].videos.filter((v) => !v.muted).length")
    assert heard == 1
    watched.calm(served)
    page.context.close()


def test_a_method_is_shown_with_and_without_acceleration(browser: sync_api.Browser, served: str) -> None:
    """One button leaves the ground truth, the method and its accelerated self; without JavaScript too."""
    watched = opened(browser, f"{served}site/videos.html", java_script_enabled=False)
    page = watched.page

    def shown() -> list[str]:
        tiles = page.locator(".scene .tile:visible .caption")
        return [text.strip() for text in tiles.all_inner_texts()]

    before = shown()
    assert {"alpha@mini", "alpha@mini+fast", "beta@mini", "ground-truth", "portrait"} <= set(before)
    page.locator(".pick label", has_text="alpha@mini").locator("input").check()
    assert shown() == ["portrait", "ground-truth", "alpha@mini", "alpha@mini+fast"]
    page.locator(".pick label", has_text="All").locator("input").check()
    assert shown() == before
    watched.calm(served)
    page.context.close()


PAGES = (
    "index.html",
    "site/papers.html",
    "site/videos.html",
    "site/compare.html",
    "site/figures.html",
    f"site/methods/{slug('alpha@mini+fast')}.html",
)


@pytest.mark.parametrize("name", [PAGES[0], *(pytest.param(name, marks=pytest.mark.full) for name in PAGES[1:])])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.full)])
def test_axe_finds_nothing_serious(browser: sync_api.Browser, report: Path, name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra browser")
    watched = opened(browser, (report / name).as_uri(), color_scheme=scheme, bypass_csp=True)
    found = axe.Axe().run(watched.page).response["violations"]
    bad = [f"{v['id']}: {[n['target'] for n in v['nodes']][:3]}" for v in found if v["impact"] in SERIOUS]
    assert bad == []
    watched.page.context.close()


@pytest.mark.full
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(browser: sync_api.Browser, report: Path, name: str) -> None:
    watched = opened(browser, (report / name).as_uri(), width=390)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    watched.calm(report.as_uri())
    watched.page.context.close()


@pytest.mark.full
def test_a_full_size_report_is_built_and_opens_quickly(browser: sync_api.Browser, tmp_path: Path) -> None:
    """200 variants x 20 metrics x 1,000 clips of 100 people, records being synthetic: all that `thbench report` does.

    Building is timed in processor seconds, opening from navigation to a page that answers, which only a machine with a
    free core can show.
    """
    write_large_run(tmp_path / "run", variants=200, metrics=20, clips=1000)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "thbench", "report", str(tmp_path / "run"), "--out", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"built in {spent:.1f} processor seconds, {time.perf_counter() - began:.1f} s")
    assert len(list(out.rglob("*.html"))) >= 202
    assert spent < 30
    first_load = sum((out / name).stat().st_size for name in ("index.html", "site/site.css", "site/site.js"))
    print(f"first load {first_load / 1e6:.2f} MB")
    assert first_load < 3_000_000
    waits = []
    for _ in range(3):
        watched = opened(browser, (out / "index.html").as_uri())
        watched.page.wait_for_selector("html[data-ready]", state="attached")
        waits.append(watched.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
        began_sort = watched.page.evaluate("performance.now()")
        watched.page.locator("#leaderboard button.sort").nth(1).click()
        sorted_in = watched.page.evaluate("performance.now()") - began_sort
        watched.page.context.close()
    print(f"interactive after {[round(wait) for wait in waits]} ms, sorted in {sorted_in:.0f} ms")
    busy = time.perf_counter()
    spent = time.process_time()
    sum(i * i for i in range(3_000_000))
    share = (time.process_time() - spent) / (time.perf_counter() - busy)
    slowest = max(min(waits), sorted_in)
    if slowest >= 2000 and share < 0.9:
        pytest.skip(f"the page answered in {slowest:.0f} ms, but this machine gives a process {share:.0%} of a core")
    assert slowest < 2000

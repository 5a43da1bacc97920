"""Makes the screens of the page that docs/ shows: a demo with its media is served and used.

python -P scripts/screens.py [--data FOLDER] [NAME ...]

It needs chromium and the extra [media]. Models that were pulled take part, so pull
efficientnet-lite0 and PP-OCRv6-small-det and -rec before. FOLDER keeps the archive for another
run.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

ROOT = Path(__file__).parent.parent
DEMO, DOCS = ROOT / "datasets/demo", ROOT / "docs"
RUN = [sys.executable, "-P", "-c", "from dateline.cli import main; main()"]
READER, DESK = "a-readers-key", "a-desks-key"
KEYS = [
    {"name": "gazette", "key": READER, "products": ["demo"]},
    {"name": "night desk", "key": DESK, "products": ["demo"], "write": True, "inspect": True},
]
STORY = "urn:newsml:dateline.example:20261104:election-leader-4"
CHANGE = "lexical_weight=0.2"
MOST = 100_000  # bytes of a screen
PASTED = json.loads((DEMO / "examples.json").read_text("utf-8"))


def _save(page: Page, name: str) -> None:
    """Write what the page shows as WebP, as good as its size allows."""
    page.wait_for_function(
        "() => [...document.images].every(one => one.complete || one.loading == 'lazy' && "
        "one.getBoundingClientRect().top > innerHeight)"
    )
    page.wait_for_timeout(700)  # panels come in
    picture = Image.open(io.BytesIO(page.screenshot()))
    if name == "page":  # the README's: not every reader of Markdown shows WebP
        picture.convert("RGB").quantize(256).save(DOCS / "page.png", optimize=True)
        return
    for quality in (88, 80, 70, 55):
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=quality, method=6)
        if out.tell() <= MOST:
            break
    (DOCS / f"{name}.webp").write_bytes(out.getvalue())
    print(f"{name}.webp {out.tell():,} bytes")


def _asked(page: Page, query: str) -> None:
    page.goto(f"/?{query}")
    page.locator("#results .hit").first.wait_for()


def _page(page: Page) -> None:
    page.evaluate("localStorage.setItem('dateline-engineer', '1')")
    for _ in range(4):  # its times are shown, and the first answers take longer
        _asked(page, "q=ferry+accident+march+2026")


def _thanks(page: Page) -> None:
    _asked(page, "q=find+where+she+says+thank+you")


def _sign(page: Page) -> None:
    _asked(page, "q=137")


def _pasted(page: Page) -> None:
    _asked(page, "q=")
    text = next(one["text"] for one in PASTED if "text" in one)
    _given(page, {"name": "wire.txt", "mimeType": "text/plain", "buffer": text.encode()})


def _looks(page: Page) -> None:
    _asked(page, "q=")
    data = (DEMO / "media/reserve-0412.jpg").read_bytes()
    _given(page, {"name": "moose.jpg", "mimeType": "image/jpeg", "buffer": data})


def _given(page: Page, file: FilePayload) -> None:
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("#coverage-file").set_input_files(files=[file])
    page.locator("#chips .chip").first.wait_for()


def _grid(page: Page) -> None:
    _asked(page, "q=&type=picture&type=video")
    page.locator("#grid-view").click()


def _lightbox(page: Page) -> None:
    _asked(page, "q=windmill&type=picture")
    page.keyboard.press("v")
    page.keyboard.press("c")


def _film(page: Page) -> None:
    _asked(page, "q=thank+you&type=video")
    page.keyboard.press("v")
    page.wait_for_function("() => (document.querySelector('video') || {}).readyState >= 2")


def _newsdesk(page: Page) -> None:
    _asked(page, f"q=varland+election&open={STORY}")
    page.locator("#panel .told-list").wait_for()


def _killed(page: Page) -> None:
    _newsdesk(page)
    page.locator("#panel .desk input").first.fill("The count of one district was wrong.")
    page.locator("#panel .desk-kill").first.click()
    page.locator("#panel .stamp").wait_for()


def _versions(page: Page) -> None:
    _asked(page, f"q=varland+election&open={STORY}")
    page.locator(".compare-versions").click()
    page.locator("#chain").scroll_into_view_if_needed()


def _consent(page: Page) -> None:
    page.evaluate("localStorage.removeItem('dateline-use-log')")
    _asked(page, "q=ferry+accident")


# A screen's name, the key that it is seen with, and what is done before. What kills is last.
SCREENS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "page": (READER, _page),
    "thanks": (READER, _thanks),
    "sign": (READER, _sign),
    "pasted": (READER, _pasted),
    "looks": (READER, _looks),
    "grid": (READER, _grid),
    "lightbox": (READER, _lightbox),
    "film": (READER, _film),
    "consent": (READER, _consent),
    "versions": (READER, _versions),
    "newsdesk": (DESK, _newsdesk),
    "killed": (DESK, _killed),
}


def _run(*arguments: str | Path, data: Path) -> None:
    command = [*RUN, *map(str, arguments), "--data", str(data)]
    subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=_environment(), check=True, stdout=subprocess.DEVNULL
    )


def _environment() -> dict[str, str]:
    return os.environ | {
        "DATELINE_KEYS": json.dumps(KEYS),
        "DATELINE_USE_LOG_ACCOUNTS": "gazette",
    }


@contextmanager
def _said(*arguments: str | Path, data: Path) -> Iterator[str]:
    """The address that a command prints while it serves."""
    command = [*RUN, *map(str, arguments), "--data", str(data)]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield next(
                found[0] for found in map(re.compile(r"http://\S+").search, process.stdout) if found
            )
        finally:
            process.terminate()


@contextmanager
def _shown(browser: Browser, url: str, key: str = "") -> Iterator[Page]:
    """A page of a reader with this key, who agreed to the use log."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, base_url=url, locale="en-GB"
    )
    if key:
        context.add_init_script(f"sessionStorage.setItem('dateline-key', '{key}')")
    context.set_default_timeout(120_000)
    page = context.new_page()
    if key:
        page.goto("/docs")  # any page of this origin
        page.evaluate("localStorage.setItem('dateline-use-log', 'yes')")
    yield page
    context.close()


def _of_the_page(browser: Browser, data: Path, names: list[str]) -> None:
    """The screens of the search page."""
    if not (data / "record.sqlite3").exists():
        _run("ingest", DEMO / "stories.jsonl", data=data)
        _run("ingest", DEMO / "media", "--products", "demo", data=data)
    with _said("serve", "--port", "0", data=data) as url:
        url = url.rstrip("/")
        while httpx.get(f"{url}/readyz").status_code != 200:
            time.sleep(0.2)
        httpx.get(
            f"{url}/content/feed", headers={"x-api-key": READER}, timeout=60
        ).raise_for_status()
        for name in names:
            key, do = SCREENS[name]
            with _shown(browser, url, key) as page:
                do(page)
                _save(page, name)


def _of_the_engineer(browser: Browser, data: Path) -> None:
    """The judge page, a comparison of two versions of a profile, and an experiment."""
    mine, runs = data / "mine", data / "runs"
    flags = ("--judge", "ada", "--profiles", "lexical,hybrid", "--depth", "5")
    judging = _said("eval", "judge", mine, "--from", DEMO, *flags, data=data)
    with judging as url, _shown(browser, url.partition("#")[0]) as page:
        page.goto(url)
        for done, grade in enumerate("2012"):
            page.locator("#so-far", has_text=f"{done} of").wait_for()
            page.keyboard.press(grade)
        _save(page, "judge")
    for name, change in (("old", ()), ("new", ("--set", f"profile.{CHANGE}"))):
        _run(
            "eval", "run", mine, "--profile", "hybrid", *change, "--output", runs / name, data=data
        )
    compare = ("eval", "compare", runs / "old", runs / "new", "--html", data / "comparison.html")
    subprocess.run([*RUN, *map(str, compare)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    _run("experiment", "start", "weights", "--profile", "hybrid", "--set", CHANGE, data=data)
    _run("experiment", "status", "weights", "--html", data / "experiment.html", data=data)
    for name in ("comparison", "experiment"):
        with _shown(browser, "http://localhost") as page:
            page.goto((data / f"{name}.html").as_uri())
            _save(page, name)


def main() -> None:
    """Make the screens that are named, all without a name."""
    told = argparse.ArgumentParser()
    told.add_argument("names", nargs="*")
    told.add_argument("--data", type=Path)
    asked = told.parse_args()
    names: list[str] = asked.names
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = asked.data or made
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        chosen = [name for name in SCREENS if not names or name in names]
        if chosen:
            _of_the_page(browser, Path(folder), chosen)
        if not names or "judge" in names:
            _of_the_engineer(browser, Path(folder))


if __name__ == "__main__":
    main()

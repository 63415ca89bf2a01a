"""The page: one file, every section with its sentence, nothing asked of the network, shown by a real browser."""

import html.parser
import os
import re
import shutil

import pytest

from trajmap.errors import RunFormatError
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.scores import SCORES
from trajmap.report.write import write_report

VOID = {"meta", "link", "img", "source", "br"}
SECTIONS = [
    "The run",
    "What is known", "Explained variance", "Charts", "Lift gap", "Topology", "Lines", "Asymmetry", "Walks", "Scores",
    "Basins", "Curvature", "Edge of stability", "Causal test", "Alignment", "Sample size", "Sensitivity", "Cautions",
    "Definitions", "Settings",
]  # fmt: skip


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.stack, self.sections, self.images, self.references, self.after = [], [], [], [], {}
        self.heading = self.awaits = None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if self.awaits:
            self.after[self.awaits], self.awaits = tag, None
        if tag == "img":
            self.images.append(attrs)
        self.references += [attrs[key] for key in ("src", "href", "srcset") if key in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag
        if tag == "h2":
            self.awaits = self.sections[-1]

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "h2":
            self.sections.append(data)


@pytest.fixture(scope="module")
def page(shared_run_folder):
    path = write_report(shared_run_folder)
    assert path == shared_run_folder / "report.html"
    text = path.read_text(encoding="utf-8")
    parser = Page()
    parser.feed(text)
    assert parser.stack == []
    return text, parser


def test_sections_open_with_a_sentence(page):
    text, parser = page
    assert parser.sections == SECTIONS
    assert set(parser.after.values()) == {"p"}
    for answer, sentence in re.findall(r'<p class="finding([^"]*)">(.*?)</p>', text):
        assert re.search(r"\d", sentence) or sentence.startswith("No ") or answer == " unknown"
        assert re.sub(r"<.*?>", "", sentence).rstrip().endswith(".")


def test_it_is_one_file(page):
    text, parser = page
    assert all(ref.startswith(("data:", "#")) for ref in parser.references)
    assert "url(" not in text
    assert "<script" not in text
    assert len(parser.images) == 39
    assert all(image["alt"] for image in parser.images)


def test_names_are_escaped(page):
    text, _ = page
    assert "&lt;script&gt;alert(1)" in text
    assert "run &amp; more" in text


def test_missing_artefacts_name_their_command(run_folder):
    shutil.rmtree(run_folder / "artefacts")
    text = write_report(run_folder, run_folder / "other.html", title="T").read_text(encoding="utf-8")
    for verb in ("claims", "score", "surface", "hessian", "align", "lines", "walks", "samples", "sensitivity"):
        assert f"trajmap {verb} " in text
    assert "<h1>T</h1>" in text
    assert str(run_folder.parent) not in text, "where the run lay on its author's disk is not told"
    assert "trajmap score &#x27;run &amp; more&#x27;" in text


def test_damaged_artefacts_are_worded(run_folder):
    Artefacts.of(run_folder).path(SCORES).write_bytes(b"junk")
    with pytest.raises(RunFormatError, match="damaged"):
        write_report(run_folder)


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium found; make browser installs one")
        pytest.skip("no Chromium found")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=quiet)
        yield chromium
        chromium.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("width", "height"), [(360, 740), (390, 844), (1920, 1080)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page, shared_run_folder, browser, width, height, scheme):
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    tab = context.new_page()
    troubles, requests = [], []
    tab.on("console", lambda message: troubles.append(message.text))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto((shared_run_folder / "report.html").as_uri())
    assert troubles == []
    assert [url for url in requests if not url.startswith("data:")] == [(shared_run_folder / "report.html").as_uri()]
    assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 300)")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    shown = tab.evaluate("[...document.images].map(image => image.currentSrc)")
    light = tab.evaluate("[...document.images].map(image => image.src)")
    assert (shown == light) == (scheme == "light"), "each theme has figures of its own"
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(14, 17, 22)"
    )
    context.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_interactive_reliefs_are_drawn_without_the_network(shared_run_folder, browser):
    path = write_report(shared_run_folder, shared_run_folder / "turning.html", interactive=True)
    tab = browser.new_page()
    requests, errors = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_selector(".relief .js-plotly-plot", timeout=20000)
    assert tab.locator(".relief .js-plotly-plot").count() == 2
    assert errors == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert "<script>alert(1)" not in path.read_text(encoding="utf-8")
    tab.close()

"""The page for people in Chromium, in front of a real gateway."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import documents
import pytest
from anyio.from_thread import start_blocking_portal
from living import until
from PIL import Image
from running import Gateway, gateway
from vlm_standin import Asked, Standin

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Debian's chromium and chromium-driver are missing")
PAGES = Path(__file__).parents[1] / "pages"
CLIPBOARD = ["clipboardReadWrite", "clipboardSanitizedWrite"]
DROP = """
const [name, base64] = arguments;
const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const dataTransfer = new DataTransfer();
dataTransfer.items.add(new File([bytes], name));
const target = document.getElementById("drop");
for (const kind of ["dragover", "drop"]) {
  target.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
}
"""
PASTE = """
const clipboardData = new DataTransfer();
clipboardData.items.add(new File([Uint8Array.from(atob(arguments[0]), (one) => one.charCodeAt(0))], "image.png"));
document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
"""


class Browser:
    """One window of Chromium, and what a person would do with it."""

    def __init__(self, downloads: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1300,1000"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.downloads = downloads
        where = {"behavior": "allow", "downloadPath": str(downloads)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
        self.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": CLIPBOARD})

    def open(self, running: Gateway, language: str = "en-US") -> None:
        agent = {"userAgent": "Chromium", "acceptLanguage": language}
        self.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", agent)
        self.driver.get(f"http://127.0.0.1:{running.port}/")
        self.run("localStorage.clear()")
        self.driver.get(f"http://127.0.0.1:{running.port}/")
        until(lambda: self.text("#backend-words"), "the backend's state")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def drop(self, name: str, content: bytes) -> None:
        self.run(DROP, name, base64.b64encode(content).decode())

    def read(self, name: str, content: bytes) -> None:
        """Drop a document and wait for the end of its reading."""
        self.drop(name, content)
        until(lambda: self.one("#again").is_displayed(), f"the reading of {name}")

    def press(self, *keys: str) -> Any:
        """Press keys one after another; the element that has the focus then."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
        return self.driver.switch_to.active_element

    def complaints(self) -> list[str]:
        """What the browser had to say against the page since it was asked last, but for answers that are errors."""
        return [line["message"] for line in self.driver.get_log("browser") if "Failed to load" not in line["message"]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    window = Browser(tmp_path_factory.mktemp("downloads"))
    yield window
    window.driver.quit()


@contextmanager
def served(vlm: Standin, **settings: Any) -> Iterator[Gateway]:
    with start_blocking_portal() as portal, vlm, portal.wrap_async_context_manager(gateway(vlm.url, **settings)) as one:
        yield one


def answered(asked: Asked) -> str:
    if "Table" in asked.prompt:
        return "<fcel>Item<fcel>Total<nl><fcel><script>boom()</script><fcel>12<nl><fcel>Sum \\( x^2 \\)<lcel><nl>"
    return "Text with <b>marks</b> & \\( \\frac{a}{b} \\)"


@pytest.fixture(scope="module")
def site() -> Iterator[Gateway]:
    """A gateway that finds regions with the embedded detector."""
    pytest.importorskip("rapid_layout")
    with served(Standin(answer=answered), layout_detector="cpu") as running:
        yield running


@pytest.fixture(scope="module")
def whole() -> Iterator[tuple[Gateway, Standin]]:
    """A gateway that takes each page for one region, and the VLM behind it."""
    vlm = Standin(answer=lambda asked: "One line\nAnother line")
    with served(vlm) as running:
        yield running, vlm


@pytest.fixture(scope="module")
def two_pages() -> bytes:
    """A PDF of two sample pages, each with a table."""
    first, second = (Image.open(PAGES / name).convert("RGB") for name in ("en_a4.png", "ru_a4.png"))
    out = io.BytesIO()
    first.save(out, "PDF", save_all=True, append_images=[second], resolution=200)
    return out.getvalue()


def test_a_dropped_pdf_is_shown_with_its_regions_and_tables(browser: Browser, site: Gateway, two_pages: bytes) -> None:
    """Both pages have their picture, regions over it, and the tables as tables; nothing in a document is markup."""
    browser.open(site)
    browser.read("two.pdf", two_pages)
    assert browser.text("#progress").startswith("Done: 2 pages, ")
    assert [one.text for one in browser.all(".sheet h3")] == ["Page 1", "Page 2"]
    until(lambda: browser.run("return [...document.images].every((one) => one.naturalWidth > 500)"), "the pictures")
    for sheet in (".sheet:nth-child(1)", ".sheet:nth-child(2)"):
        assert len(browser.all(f"{sheet} .region")) >= 8
        box, picture = browser.one(f"{sheet} .region.table").rect, browser.one(f"{sheet} img").rect
        assert 0.5 < box["width"] / picture["width"] < 1
        assert picture["x"] < box["x"] and picture["y"] < box["y"]
        cells = [one.text for one in browser.all(f"{sheet} .read table td")]
        assert cells[:4] == ["Item", "Total", "<script>boom()</script>", "12"]
        assert browser.one(f"{sheet} table tr:last-child td").get_attribute("colspan") == "2"
        assert browser.all(f"{sheet} table math msup")
        assert "Text with <b>marks</b> &" in browser.text(f"{sheet} .read")
        assert browser.all(f"{sheet} math mfrac")
    assert browser.complaints() == []


def test_the_result_can_be_taken_along(browser: Browser, whole: tuple[Gateway, Standin]) -> None:
    """The Markdown is shown, copied and saved, the blocks are saved as JSON."""
    running, _ = whole
    browser.open(running)
    browser.read("My scan.tiff", documents.tiff(["a", "b"]))
    browser.one("#source").click()
    assert browser.text(".sheet .source") == "One line\n\nAnother line"
    browser.one("#copy").click()
    until(lambda: browser.text("#copy") == "Copied", "the copy")
    copied = browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    expected = "One line\n\nAnother line\n\nOne line\n\nAnother line\n"
    assert copied == expected
    browser.one("#download").click()
    until((browser.downloads / "My scan.md").exists, "the Markdown")
    assert (browser.downloads / "My scan.md").read_text() == expected
    browser.one("#json").click()
    until((browser.downloads / "My scan.json").exists, "the JSON")
    saved = json.loads((browser.downloads / "My scan.json").read_text())
    assert [page["blocks"][0]["content"] for page in saved["pages"]] == ["One line\nAnother line"] * 2


def test_a_document_can_be_chosen_or_pasted(browser: Browser, whole: tuple[Gateway, Standin], tmp_path: Path) -> None:
    """Dropping is not the only way in; the options go with every way."""
    running, _ = whole
    browser.open(running)
    (tmp_path / "two.tiff").write_bytes(documents.tiff(["a", "b"]))
    browser.one("#pages").send_keys("2")
    browser.one("#file").send_keys(str(tmp_path / "two.tiff"))
    until(lambda: browser.text("#progress").startswith("Done: "), "the chosen file")
    assert [one.text for one in browser.all(".sheet h3")] == ["Page 2"]
    browser.one("#pages").clear()
    browser.run(PASTE, base64.b64encode(documents.png("a")).decode())
    until(lambda: [one.text for one in browser.all(".sheet h3")] == ["Page 1"], "the pasted picture")


def test_pages_are_shown_as_they_arrive(browser: Browser, whole: tuple[Gateway, Standin]) -> None:
    """The first page is there while the second is being read; stopping keeps it and ends the work."""
    running, vlm = whole
    browser.open(running)
    small, large = documents.picture("a"), documents.picture("b", (900, 900))
    out = io.BytesIO()
    small.save(out, "TIFF", save_all=True, append_images=[large])
    vlm.fail(hang=True, picture=lambda picture: Image.open(io.BytesIO(picture)).height > 500)
    try:
        browser.drop("slow.tiff", out.getvalue())
        until(lambda: browser.all(".sheet"), "the first page")
        until(lambda: vlm.in_flight == 1, "the second page to be read")
        assert browser.text("#progress") == "1 page is here…"
        browser.one("#stop").click()
        until(lambda: browser.text("#progress") == "Stopped.", "the stop")
        until(lambda: vlm.requests[-1].outcome == "gone", "the end of the work")
        assert len(browser.all(".sheet")) == 1
    finally:
        vlm.heal()


def test_errors_are_words_in_both_languages(browser: Browser, whole: tuple[Gateway, Standin]) -> None:
    """A damaged file is told so, in the browser's language and in the other one."""
    running, _ = whole
    browser.open(running)
    browser.read("bad.png", b"\x89PNG\r\n\x1a\nbroken")
    assert browser.text("#error").splitlines()[0] == "The file is damaged."
    assert "Request " in browser.text("#error")
    assert browser.all(".sheet") == []
    browser.one("#language").click()
    assert browser.text("#error").splitlines()[0] == "Файл повреждён."
    browser.open(running, "ru-RU")
    assert browser.run("return document.documentElement.lang") == "ru"
    assert browser.text("#drop strong").startswith("Перетащите документ")
    browser.one("#pages").send_keys("9")
    browser.read("a.png", documents.png("a"))
    assert browser.text("#error").splitlines()[0] == "Что-то не так с параметрами."


def test_a_region_that_could_not_be_read_says_so(browser: Browser, whole: tuple[Gateway, Standin]) -> None:
    """Its place on the page and the reason are shown, and the summary counts it."""
    running, vlm = whole
    browser.open(running)
    vlm.fail(status=400, message="no")
    try:
        browser.read("a.png", documents.png("a"))
    finally:
        vlm.heal()
    assert "1 could not be read" in browser.text("#progress")
    assert browser.all(".region.failed")
    assert browser.text(".block.failed .note").startswith("Could not be read: ")


def test_the_backends_state_is_told(browser: Browser, whole: tuple[Gateway, Standin]) -> None:
    """What `/health/vllm` says is at the top."""
    running, vlm = whole
    browser.open(running)
    assert browser.text("#backend-words") == "The recogniser is ready"
    vlm.health = 500
    try:
        browser.open(running)
        assert browser.text("#backend-words") == "The recogniser answers errors"
        browser.read("a.png", documents.png("a"))
        assert browser.text("#error").splitlines()[0] == "The recogniser is away."
        assert "Try again in " in browser.text("#error")
    finally:
        vlm.health = 200
    until(lambda: running.service.monitor.ready, "the backend")


def test_keyboard_and_screen_reader_reach_everything(browser: Browser, site: Gateway) -> None:
    """Every control has a name; Tab comes to the regions, arrows go through them, each shows its text."""
    from selenium.webdriver.common.keys import Keys

    browser.open(site)
    assert browser.press(Keys.TAB).accessible_name == "Skip to the result"
    names = [browser.press(Keys.TAB).accessible_name for _ in range(3)]
    assert names == ["Русский", "API", "Drop a document here, click, or paste PDF, PNG, JPEG, WebP, BMP, GIF, TIFF"]
    browser.read("page.png", (PAGES / "en_a4.png").read_bytes())
    controls = [one for one in browser.all("a, button, input, select, .region") if one.is_displayed()]
    for control in controls:
        assert control.accessible_name, control.get_attribute("outerHTML")
    browser.run("document.getElementById('json').focus()")
    region = browser.press(Keys.TAB)
    assert (region.aria_role, "region" in region.get_attribute("class")) == ("button", True)
    following = browser.press(Keys.ARROW_RIGHT)
    assert following != region
    shown = browser.all(".block.on")
    assert [one.get_attribute("id") for one in shown] == [following.get_attribute("data-block")]
    browser.press(Keys.ARROW_LEFT)
    assert [one.get_attribute("id") for one in browser.all(".block.on")] == [region.get_attribute("data-block")]
    assert browser.run("return document.querySelectorAll('[aria-live], [role=status], [role=alert]').length") == 3


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (r"E=mc^2", "<math><mrow><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></mrow></math>"),
        (
            r"\frac{a_i}{2}",
            "<math><mrow><mfrac><mrow><msub><mi>a</mi><mi>i</mi></msub></mrow><mrow><mn>2</mn></mrow></mfrac></mrow></math>",
        ),
        (r"\sqrt[3]{x}", "<math><mrow><mroot><mrow><mi>x</mi></mrow><mrow><mn>3</mn></mrow></mroot></mrow></math>"),
        (r"\left. x \right)", "<math><mrow><mrow></mrow><mi>x</mi><mrow></mrow><mo>)</mo></mrow></math>"),
        (
            r"\begin{cases} 1 & a \\ 0 \end{cases}",
            "<math><mrow><mrow><mo>{</mo><mtable><mtr><mtd><mrow><mn>1</mn></mrow></mtd><mtd><mrow><mi>a</mi></mrow></mtd></mtr>"
            "<mtr><mtd><mrow><mn>0</mn></mrow></mtd></mtr></mtable><mo></mo></mrow></mrow></math>",
        ),
        (r"\text{if }<b>", "<math><mrow><mtext>if </mtext><mo>&lt;</mo><mi>b</mi><mo>&gt;</mo></mrow></math>"),
        (r"\unheardof{x}", r"<code>\unheardof{x}</code>"),
        (r"\frac{a}{", r"<code>\frac{a}{</code>"),
        (r"x}", "<code>x}</code>"),
        (r"\begin{matrix}", r"<code>\begin{matrix}</code>"),
    ],
)  # fmt: skip
def test_formulas_are_mathml_or_their_source(
    browser: Browser, whole: tuple[Gateway, Standin], source: str, shown: str
) -> None:
    """What is known of LaTeX is set; what is not known, or broken, is shown as it was written."""
    running, _ = whole
    if not browser.driver.current_url.startswith(f"http://127.0.0.1:{running.port}/"):
        browser.open(running)
    script = "import('/page/math.js').then((math) => arguments[1](math.mathOf(arguments[0]).outerHTML))"
    made = browser.driver.execute_async_script(script, source)
    assert re.sub(r"<(\w+)[^>]*>", r"<\1>", made) == shown

"""The documentation site in a browser: on a phone, and link by link."""

import html.parser
import subprocess
import sys
import urllib.parse

import peers
import pytest
from snippets import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}

# What a reader would have to scroll sideways, other than code.
WIDE = """
    const wide = [...document.querySelectorAll('article *')].filter(element =>
        element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
        && getComputedStyle(element).overflowX != 'visible'
        && !element.closest('pre'));
    const page = document.scrollingElement;
    if (page.scrollWidth > screen.width)
        wide.unshift(page);
    return wide.map(e => `${e.tagName}: ${e.scrollWidth} > ${e.clientWidth}: `
                         + e.innerText.slice(0, 60));
"""
BROKEN = "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"


class Page(html.parser.HTMLParser):
    """The links of a page, and the anchors that links may lead to."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.anchors = path, [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.add(attributes.get("id", ""))
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.append(attributes[name])

    def internal(self):
        """Yield each link to a file of the site, with the file and the anchor."""
        for link in self.links:
            url = urllib.parse.urlsplit(link)
            if not url.scheme and not url.netloc:
                path = urllib.parse.unquote(url.path)
                target = (self.path.parent / path) if path else self.path
                yield link, target.resolve(), urllib.parse.unquote(url.fragment)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("sphinx", "furo", "myst_parser", "sphinx_copybutton"):
        peers.needs_module(module)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E",
         "-d", folder / "doctrees", "-b", "html", ROOT / "docs", folder / "html"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site):
    found = sorted(site.rglob("*.html"))
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def phone():
    webdriver = peers.module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = peers.program("chromium")
    for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{switch}")
    service = webdriver.ChromeService(peers.program("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        yield driver


def test_nothing_but_code_is_wider_than_a_phone(pages, phone):
    for page in pages:
        phone.get(page.as_uri())
        assert phone.execute_script("return innerWidth") == PHONE["width"]
        assert phone.execute_script(WIDE) == [], page.name


def test_images_load(pages, phone):
    seen = 0
    for page in pages:
        phone.get(page.as_uri())
        assert phone.execute_script(BROKEN) == [], page.name
        seen += phone.execute_script("return document.images.length")
    assert seen >= 3


def test_what_these_tests_look_for_would_be_seen(pages, phone):
    phone.get(pages[0].as_uri())
    phone.execute_script(
        "document.querySelector('article').insertAdjacentHTML('beforeend',"
        '\'<div style="overflow-x: auto"><p style="width: 500px">wide</p></div>'
        "<img src=missing.png>')"
    )
    assert len(phone.execute_script(WIDE)) == 1
    assert phone.execute_script(BROKEN)[0].endswith("missing.png")
    phone.execute_script("document.body.style.minWidth = '500px'")
    assert phone.execute_script(WIDE)[0].startswith("HTML")


def test_the_first_page_says_how_to_install_and_code_can_be_copied(site, phone):
    phone.get((site / "index.html").as_uri())
    text = phone.find_element("css selector", "article").text
    assert text.index("pip install jsonrpcc") < text.index("import jsonrpcc")
    buttons = "return document.querySelectorAll('article button.copybtn').length"
    assert phone.execute_script(buttons) >= 2
    head = (site / "index.html").read_text(encoding="utf-8").partition("</head>")[0]
    assert 'name="description"' in head
    assert "favicon.svg" in head


def test_no_internal_link_is_dead(pages):
    known = {page.resolve(): Page(page) for page in pages}
    links = [
        (page.path.name, *link) for page in known.values() for link in page.internal()
    ]
    assert len(links) > 1000
    dead = [
        f"{name}: {link}"
        for name, link, target, anchor in links
        if not target.is_file()
        or (target in known and anchor not in known[target].anchors)
    ]
    assert dead == []

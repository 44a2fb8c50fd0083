"""A headless Chromium for the tests of the page, and pictures compared with stored ones.

python tests/browser.py report.html measures how long the page takes to open.
"""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STORED = Path(__file__).parent / "images"

_SWITCHES = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]


def chromium():
    """The browser's program, or a skip with the reason."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium can be found: make browser installs it where apt-get can")
    return found


def launch(playwright):
    return playwright.chromium.launch(executable_path=chromium(), args=_SWITCHES)


def open_page(browser, address, **options):
    """Open a page with the network cut, and keep what it says and asks for."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    context.set_offline(address.startswith("file:"))
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    return page


def settle(page):
    """Wait until the map has drawn everything."""
    for _ in range(600):
        if page.evaluate("pm25map.map.loaded() && !pm25map.map.isMoving()"):
            break
        page.wait_for_timeout(50)
    page.wait_for_timeout(400)


def assert_looks_as_stored(picture, name, share=0.03):
    """Compare a picture with the stored one, both made small: fonts differ between machines, maps do not.

    PM25MAP_STORE_PICTURES=1 stores it instead; look at it before it is committed.
    """
    small = Image.open(picture).convert("RGB").resize((480, 300), Image.Resampling.BOX)
    stored = STORED / f"{name}.png"
    if os.environ.get("PM25MAP_STORE_PICTURES"):
        STORED.mkdir(exist_ok=True)
        small.quantize(128).save(stored, optimize=True)
        return
    wanted = np.asarray(Image.open(stored).convert("RGB"), dtype=np.int16)
    off = np.abs(np.asarray(small, dtype=np.int16) - wanted).max(axis=2) > 40
    assert off.mean() < share, f"{off.mean():.1%} of {name} differs from the stored picture"


def measure(path):
    """Open a page five times; print the seconds from the address to the drawn map."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(5):
            begin = time.perf_counter()
            page = open_page(browser, Path(path).resolve().as_uri())
            sys.stdout.write(f"{time.perf_counter() - begin:.2f} s\n")
            page.context.close()
        browser.close()


if __name__ == "__main__":
    measure(sys.argv[1])

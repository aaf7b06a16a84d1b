"""Takes the screenshots of the web page that README.md shows, with Chromium.

python tools/screenshots.py
"""

import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from yamnet_cry.space import build, serve

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
# Just wide enough to be readable at the size in README.md.
SIZES = {"space-desktop": (720, 1130), "space-phone": (390, 844)}


def main() -> None:
    """Serves the page, runs it on an example, and takes the screenshots."""
    page = build()
    _, address, _ = serve(page, quiet=True, prevent_thread_lock=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            tab = browser.new_page(viewport={"width": width, "height": height})
            tab.goto(address)
            tab.get_by_text("it cries again and again.wav").click()
            tab.wait_for_selector("#events td")
            tab.wait_for_function("[...document.images].some(image => image.naturalWidth >= 1000)")
            tab.evaluate(
                "window.scrollTo(0, document.querySelector('#headline').getBoundingClientRect().top - 12)"
            )
            tab.wait_for_timeout(1_000)
            path = PICTURES / f"{name}.png"
            tab.screenshot(path=path)
            # Flat colours: a palette is a third of the size and looks the same.
            Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KB")
        browser.close()
    page.close(verbose=False)


if __name__ == "__main__":
    main()

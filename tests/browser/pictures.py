"""Take the screenshots of the inspector: ``python -m tests.browser.pictures FOLDER``."""

import asyncio
import sys
from pathlib import Path

from tests.browser.helpers import browser, running_sandbox, send_requests


#: Name, view, color scheme, width, height, and the number of a request to open.
PICTURES = (
    ("inspector-light", "overview", "light", 1360, 900),
    ("inspector-dark", "overview", "dark", 1360, 900),
    ("inspector-requests", "requests", "light", 1360, 900),
    ("inspector-behavior", "behavior", "dark", 1360, 900),
    ("inspector-narrow", "overview", "light", 400, 860),
)


async def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    async with running_sandbox() as raw, browser() as chromium:
        await send_requests(raw)
        for name, view, scheme, width, height in PICTURES:
            context = await chromium.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                device_scale_factor=2 if width < 500 else 1.5,
            )
            page = await context.new_page()
            await page.goto(f"{raw.sandbox.inspector_url}#{view}")
            await page.get_by_text("live", exact=True).wait_for()
            if view == "requests":
                await page.locator("[data-request]").nth(2).click()
                await page.locator("#detail pre").first.wait_for()
            await page.screenshot(path=folder / f"{name}.png")
            await context.close()
            print(folder / f"{name}.png")  # noqa: T201 - the result of the command


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

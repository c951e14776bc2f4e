"""The inspector in a real browser: what it shows and what it can do."""

import pytest
import pytest_asyncio

from tests.browser.helpers import browser, running_sandbox, send_requests
from tests.sandbox.raw import body


pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
]


@pytest_asyncio.fixture
async def raw():
    async with running_sandbox() as found:
        yield found
    assert found.sandbox.log.crashes == []


@pytest_asyncio.fixture
async def page(raw):
    async with browser() as chromium:
        found = await chromium.new_page()
        errors = []
        found.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - it takes no builtin
        found.on(
            "console", lambda m: errors.append(m.text) if m.type == "error" else None
        )
        await found.goto(raw.sandbox.inspector_url)
        await found.get_by_text("live", exact=True).wait_for()
        yield found
        assert errors == []


def token_row(page, status):
    return page.locator(f'[data-status="{status}"]')


@pytest.mark.asyncio
async def test_token_is_issued_becomes_due_is_replaced_and_expires(raw, page):
    scope = f"inquiry.read:{raw.sandbox.add_inquiry().id}"

    await raw.token(scope)
    await page.locator('[data-status="active"]').get_by_text(scope).wait_for()
    for _ in range(56):
        raw.sandbox.advance(60)
    await token_row(page, "due").wait_for()
    await raw.token(scope)
    await token_row(page, "replaced").wait_for()
    await token_row(page, "active").wait_for()
    await page.get_by_role("button", name="+1 hour").click()
    await token_row(page, "expired").nth(1).wait_for()

    assert await token_row(page, "active").count() == 0


@pytest.mark.asyncio
async def test_fault_that_is_planned_on_the_page_occurs(raw, page):
    await page.get_by_role("tab", name="Behavior").click()
    await page.get_by_label("Operation").select_option("GET /inquiries/{inquiry-id}")
    await page.get_by_label("Status of an error").fill("502")
    await page.get_by_role("button", name="Plan the fault").click()
    await page.locator("#faults").get_by_text("502").wait_for()

    inquiry = raw.sandbox.add_inquiry().id
    statuses = [(await raw.get(f"/inquiries/{inquiry}")).status for _ in range(2)]

    assert statuses == [502, 200]
    await page.get_by_text("No fault is planned.").wait_for()


@pytest.mark.asyncio
async def test_switch_that_is_set_on_the_page_applies(raw, page):
    await page.get_by_role("tab", name="Behavior").click()
    await page.get_by_label("out of scope status").select_option("404")
    await page.get_by_text("out of scope status set").wait_for()
    await page.get_by_label("code is single use").select_option("false")
    await page.get_by_text("code is single use set").wait_for()

    assert raw.sandbox.switches.out_of_scope_status == 404
    assert raw.sandbox.switches.code_is_single_use is False


@pytest.mark.asyncio
async def test_switches_are_found_by_parts_of_their_names(page):
    await page.get_by_role("tab", name="Behavior").click()
    await page.get_by_label("Find a switch").fill("token 401")
    shown = page.locator("[data-switch]:not([hidden])")

    assert await shown.count() == 1
    assert await shown.get_attribute("data-switch") == "new_token_401_seconds"


@pytest.mark.asyncio
async def test_no_credential_is_in_the_page(raw, page):
    await send_requests(raw)
    token = await raw.token(f"inquiry.read:{raw.sandbox.add_inquiry().id}")
    code = await raw.code(f"inquiry.read:{raw.sandbox.add_inquiry().id}")
    hook = {"name": "hook", "url": "http://127.0.0.1:1/", "enabled_events": ["*"]}
    made = await raw.post("/webhooks", json=body(**hook))
    secret = made.json["data"]["attributes"]["secret"]
    planted = [token, code, secret, raw.sandbox.source.api_key]

    seen = [await page.content()]
    for view in ("Requests", "Sharing", "Objects", "Behavior"):
        await page.get_by_role("tab", name=view).click()
        seen.append(await page.content())
    await page.get_by_role("tab", name="Requests").click()
    for number in range(6):
        await page.locator("[data-request]").nth(number).click()
        await page.locator("#detail pre, #detail dl").first.wait_for()
        seen.append(await page.content())

    text = "".join(seen)
    assert "••••" in text
    assert [secret for secret in planted if secret in text] == []


@pytest.mark.asyncio
async def test_pending_connection_is_accepted_on_the_page(raw, page):
    given = body(destination_organization_id=raw.sandbox.destination.id)
    made = await raw.post("/connect/connections", json=given)

    await page.get_by_role("button", name="Accept").click()
    await page.get_by_text("Connection accepted").wait_for()

    path = f"/connect/connections/{made.json['data']['id']}"
    shown = await raw.get(path)
    assert shown.json["data"]["attributes"]["status"] == "active"


@pytest.mark.asyncio
async def test_views_are_reached_by_keyboard(raw, page):
    await page.get_by_role("tab", name="Overview").focus()
    await page.keyboard.press("ArrowRight")
    assert await page.get_by_role("tab", name="Requests").get_attribute(
        "aria-selected"
    ) == ("true")
    await page.keyboard.press("End")

    focused = page.locator("[role=tab]:focus")
    assert await focused.text_content() == "Behavior"


@pytest.mark.asyncio
async def test_page_fits_narrow_and_wide_screens_in_both_color_schemes(raw, page):
    await send_requests(raw)

    for scheme, width in (
        ("light", 360),
        ("dark", 360),
        ("light", 800),
        ("dark", 1600),
    ):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        for view in ("Overview", "Requests", "Sharing", "Objects", "Behavior"):
            await page.get_by_role("tab", name=view).click()
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (view, width)
        theme = await page.evaluate("document.documentElement.dataset.theme")
        assert theme == scheme

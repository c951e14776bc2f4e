"""Objects are return values, response models and parts of models in FastAPI."""

from datetime import datetime

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel, ConfigDict

from persona_share.model.inquiry import Inquiry
from persona_share.model.response import Page
from persona_share.testing import factories


class Summary(BaseModel):
    """The fields of an inquiry that an application returns."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    status: str
    created_at: datetime


class Wrapped(BaseModel):
    inquiry: Inquiry
    note: str = "new"


app = FastAPI()


def inquiry():
    return factories.resource(
        Inquiry,
        "inq_1",
        status="approved",
        created_at="2026-01-02T03:04:05.000Z",
        fields={"name-first": {"type": "string", "value": "Ann"}},
    )


def page():
    return Page(items=(inquiry(),), after="inq_1")


@app.get("/plain")
async def plain():
    return inquiry()


@app.get("/annotated")
async def annotated() -> Inquiry:
    return inquiry()


@app.get("/several")
async def several() -> list[Inquiry]:
    return [inquiry()]


@app.get("/nested")
async def nested():
    return {"found": inquiry(), "values": inquiry().values}


@app.get("/page")
async def a_page():
    return page()


@app.get("/annotated-page")
async def annotated_page() -> Page[Inquiry]:
    return page()


@app.get("/model", response_model=Summary)
async def model():
    return inquiry()


@app.get("/models", response_model=list[Summary])
async def models():
    return page().items


@app.get("/wrapped")
async def wrapped() -> Wrapped:
    return Wrapped(inquiry=inquiry())


async def get(path):
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://app") as client:
        response = await client.get(path)
    assert response.status_code == 200
    return response.json()


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/plain", "/annotated"])
async def test_object_is_returned_as_its_dictionary(path):
    assert await get(path) == inquiry().to_dict()


@pytest.mark.asyncio
async def test_objects_inside_of_other_values_are_returned():
    assert await get("/several") == [inquiry().to_dict()]
    assert await get("/nested") == {
        "found": inquiry().to_dict(),
        "values": {"name-first": "Ann"},
    }
    assert (await get("/wrapped"))["inquiry"] == inquiry().to_dict()


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/page", "/annotated-page"])
async def test_page_is_returned_as_its_dictionary(path):
    assert await get(path) == page().to_dict()


@pytest.mark.asyncio
async def test_response_model_picks_attributes_of_an_object():
    expected = {
        "id": "inq_1",
        "status": "approved",
        "created_at": "2026-01-02T03:04:05Z",
    }

    assert await get("/model") == expected
    assert await get("/models") == [expected]


@pytest.mark.asyncio
async def test_description_of_the_application_names_the_attributes():
    described = await get("/openapi.json")

    described_response = described["paths"]["/annotated"]["get"]["responses"]["200"]
    schema = described_response["content"]["application/json"]["schema"]
    created = schema["properties"]["created_at"]
    assert {"type": "string", "format": "date-time"} in created["anyOf"]

import httpx
import pytest

from tests.control.plane import Plane

pytestmark = pytest.mark.anyio

LATER = {
    "/admin/providers/openai/check": "providers in the admin API",
    "/admin/reports/2026-10": "reports",
}


@pytest.mark.parametrize("path", LATER)
async def test_paths_of_later_versions_are_refused_by_name(admin: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = await admin.request(method, path)
        assert answer.status_code == 501
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == f"{LATER[path]} are not in this version"


async def test_they_are_behind_the_token_too(plane: Plane) -> None:
    async with plane.client(token=None) as client:
        for path in LATER:
            assert (await client.get(path)).status_code == 401

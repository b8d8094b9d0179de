import httpx
import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "path", ["/admin/keys?limit=1&limit=2", "/admin/usage?team=a&team=b", "/admin/calls?key=a&key=a"]
)
async def test_a_parameter_given_twice_is_refused(admin: httpx.AsyncClient, path: str) -> None:
    """Only one of the two would count, and the total would be of something else."""
    answer = await admin.get(path)
    assert answer.status_code == 422
    assert answer.json()["param"] in path

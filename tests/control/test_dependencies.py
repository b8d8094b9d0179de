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


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/admin/usage?group-by=team", "did you mean `group_by`?"),
        ("/admin/calls?teem=a", "did you mean `team`?"),
        ("/admin/keys?limits=5", "did you mean `limit`?"),
        ("/admin/keys?colour=red", "these can be: limit, cursor"),
        ("/admin/calls/x?limit=1", "it takes none"),
    ],
)
async def test_an_unknown_parameter_is_refused_with_the_nearest_known_one(
    admin: httpx.AsyncClient, path: str, hint: str
) -> None:
    """A mistyped filter would show everything."""
    answer = await admin.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["hint"] == hint

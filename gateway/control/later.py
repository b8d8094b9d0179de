"""Paths of the public contract that come with later versions: refused by name, never accepted in silence."""

from fastapi import APIRouter, Request

from gateway.core.errors import not_in_this_version

router = APIRouter(include_in_schema=False)

LATER = {
    "providers": "providers in the admin API",
    "reports": "reports",
}
"""Below `/admin`, and what the refusal calls it."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def _refuse(request: Request) -> None:
    raise not_in_this_version(LATER[request.url.path.split("/")[2]])


for _name in LATER:
    for _path in (f"/admin/{_name}", f"/admin/{_name}/{{rest:path}}"):
        router.add_api_route(_path, _refuse, methods=_METHODS)

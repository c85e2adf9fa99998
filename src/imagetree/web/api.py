"""The page of the API: every address that programs are answered at, made of the OpenAPI document.

The page is our own because the usual ones are scripts from other sites, which the policy of this
one stops. The document itself is at /openapi.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

if TYPE_CHECKING:
    from imagetree.web.site import Site

_METHODS = ("get", "post", "put", "patch", "delete")


def create_router(site: Site) -> APIRouter:
    """The page."""
    router = APIRouter()

    @router.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        document = request.app.openapi()
        values = {"operations": operations(document), "example": str(request.base_url).rstrip("/")}
        return site.page(request, "api_docs.html", values)

    return router


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What can be asked, sorted by address.

    Args:
        document: of OpenAPI 3.1.

    Returns:
        Of each operation: `method`, `path`, `about`, `parameters`, `answers`, and whether it
        `needs_token`.
    """
    found = [
        {
            "method": method.upper(),
            "path": path,
            "id": each.get("operationId", f"{method}{path}"),
            "about": each.get("description", each.get("summary", "")),
            "needs_token": bool(each.get("security")),
            "parameters": [_parameter(one) for one in each.get("parameters", ())],
            "answers": [
                {"status": status, "about": answer.get("description", "")}
                for status, answer in sorted(each.get("responses", {}).items())
            ],
        }
        for path, methods in document.get("paths", {}).items()
        for method, each in methods.items()
        if method in _METHODS
    ]
    return sorted(found, key=lambda each: (each["path"], each["method"]))


def _parameter(one: dict[str, Any]) -> dict[str, Any]:
    schema = one.get("schema", {})
    return {
        "name": one["name"],
        "where": one["in"],
        "is_required": one.get("required", False),
        "kind": _kind(schema),
        "default": schema.get("default"),
        "about": one.get("description", schema.get("description", "")),
    }


def _kind(schema: dict[str, Any]) -> str:
    """The type of a value and its bounds, in words.

    >>> _kind({"type": "integer", "minimum": 1, "maximum": 9})
    'integer from 1 to 9'
    >>> _kind({"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]})
    'string of at most 20 characters'
    """
    kinds = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return " or ".join(_one_kind(each) for each in kinds)


def _one_kind(schema: dict[str, Any]) -> str:
    words = str(schema.get("type", "any value"))
    if "minimum" in schema:
        words += f" from {schema['minimum']}"
    if "maximum" in schema:
        words += f" to {schema['maximum']}"
    if "maxLength" in schema:
        words += f" of at most {schema['maxLength']} characters"
    return words

"""The OpenAPI document as a page, made here: no script from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headgate.web.console.pages import Context

METHODS = ("get", "post", "put", "patch", "delete")
REFERENCE = "#/components/schemas/"

Schema = Mapping[str, Any]


class Reference:
    """One page, worked out when it is first asked for."""

    def __init__(self, document: Callable[[], Any]) -> None:
        self._document = document
        self._context: Context | None = None

    def context(self) -> Context:
        """What the page shows."""
        if self._context is None:
            self._context = context_of(self._document())
        return self._context


def context_of(document: Mapping[str, Any]) -> Context:
    """Operations by kind of resource, and the models they speak of."""
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                said = operation(path, method, operations[method])
                by_tag.setdefault(said["tag"], []).append(said)
    models = [
        {"name": name, "description": schema.get("description", ""), "fields": list(fields_of(schema))}
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    return {
        "title": document["info"]["title"],
        "description": document["info"]["description"],
        "tags": sorted(by_tag.items()),
        "models": models,
    }


def operation(path: str, method: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """One operation, as the template needs it."""
    scopes = [scope for each in said.get("security", []) for names in each.values() for scope in names]
    body = [
        {"type": kind, "schema": type_of(content["schema"])}
        for kind, content in said.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        {
            "status": status,
            "description": answer["description"],
            "schema": next((type_of(each["schema"]) for each in answer.get("content", {}).values()), ""),
        }
        for status, answer in sorted(said["responses"].items())
    ]
    return {
        "id": said["operationId"],
        "tag": said["tags"][0],
        "method": method.upper(),
        "path": path,
        "summary": said["summary"],
        "description": said.get("description", ""),
        "scope": scopes[0] if scopes else None,
        "parameters": [
            {
                "name": each["name"],
                "in": each["in"],
                "type": type_of(each["schema"]),
                "required": each.get("required", False),
                "description": each.get("description", each["schema"].get("description", "")),
            }
            for each in said.get("parameters", [])
        ],
        "body": body,
        "answers": answers,
    }


def fields_of(schema: Schema) -> Iterator[dict[str, Any]]:
    """The properties of a model; the values of one that is a list of words."""
    for value in schema.get("enum", []):
        yield {"name": str(value), "type": "", "required": False, "description": ""}
    for name, each in schema.get("properties", {}).items():
        yield {
            "name": name,
            "type": type_of(each),
            "required": name in schema.get("required", []),
            "description": each.get("description", ""),
        }


def type_of(schema: Schema) -> str:
    """A schema in a few words.

    >>> tasks = {"type": "array", "items": {"$ref": "#/components/schemas/Task"}}
    >>> type_of({"anyOf": [tasks, {"type": "null"}]})
    'list of Task, or null'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REFERENCE)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return ", or ".join(type_of(each) for each in schema[several])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {type_of(schema['additionalProperties'])}"
    return str(schema.get("title", "object") if schema.get("properties") else schema.get("type", "anything"))

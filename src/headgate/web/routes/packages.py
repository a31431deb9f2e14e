"""Packages: what campaigns are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from headgate.store import tables
from headgate.upgrade.task import Kind
from headgate.web.access import Scope
from headgate.web.office import Office
from headgate.web.paging import After, Limit, Page, Text, paged
from headgate.web.places import Place, place_of, text_of
from headgate.web.problems import missing
from headgate.web.table import Route
from headgate.web.upload import FILE

PATH = "/packages"
CHECK_CODE_MAX = 0xFFFF
SOURCE_VERSIONS_MAX = 1000

Pid = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Its identity: 8 bytes as hexadecimal.")]


class Package(BaseModel):
    """A package that campaigns may be made of."""

    pid: str = Field(description="Its identity, 8 bytes as hexadecimal: the ETag of every block.")
    sha256: str
    kind: Kind
    version: str = Field(description="What devices report when they run it.")
    size_bytes: int
    segment_size_bytes: int = Field(description="Of software; 0 for firmware, which travels in blocks.")
    name: str
    product: str
    source_versions: list[str] = Field(description="What may be upgraded from; empty for any.")
    added_s: float
    check_code: int | None = Field(description="versionCheckCode.")


class PackageForm(BaseModel):
    """What is said of a package when it is added."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[Text, Field(min_length=1)]
    kind: Kind = Kind.FIRMWARE
    name: Text = ""
    product: Text = ""
    source_versions: Annotated[list[Text], Field(max_length=SOURCE_VERSIONS_MAX)] = []
    check_code: Annotated[int, Field(ge=0, le=CHECK_CODE_MAX)] | None = None
    segment_size_bytes: Annotated[int, Field(ge=32, le=500)] | None = None


class ArchiveForm(BaseModel):
    """What is said of a vendor's archive: it says the rest itself, so that no two can differ."""

    model_config = ConfigDict(extra="forbid")

    archive: Literal["true"]
    name: Text = ""
    product: Annotated[Text | None, Field(description="Without it, the model that the archive names.")] = None


def package_of(row: Mapping[str, Any]) -> Package:
    """The package of a row."""
    return Package(**{**row, "source_versions": json.loads(row["source_versions"] or "[]")})


def form_of(fields: Mapping[str, list[str]]) -> PackageForm | ArchiveForm:
    """What the fields of a form say; one that is repeated is a list, an empty one was left out."""
    said = {
        name: values if name == "source_versions" else values[-1] for name, values in filled(fields).items()
    }
    if said.get("archive", "false") != "false":
        form: type[PackageForm | ArchiveForm] = ArchiveForm
    else:
        form = PackageForm
        said.pop("archive", None)
    try:
        return form.model_validate(said)
    except ValidationError as error:
        located = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(located) from error


def filled(fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The fields of a form that say something: browsers send the empty ones too.

    >>> filled({"version": ["V2"], "name": [""], "source_versions": ["", "V1"]})
    {'version': ['V2'], 'source_versions': ['V1']}
    """
    found = {name: [value for value in values if value] for name, values in fields.items()}
    return {name: values for name, values in found.items() if values}


def form_body() -> dict[str, Any]:
    """The two forms, as the OpenAPI document describes them."""
    package = PackageForm.model_json_schema()
    definitions = package.pop("$defs")
    package["properties"]["kind"] = {**definitions["Kind"], "default": Kind.FIRMWARE.value}
    package["properties"]["archive"] = {"type": "string", "const": "false"}
    schemas = []
    for schema, bytes_are in (
        (package, "The bytes that devices are served."),
        (ArchiveForm.model_json_schema(), "A zip with one UpgradeDesc.json, and the package that it names."),
    ):
        schema["properties"][FILE] = {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": bytes_are,
        }
        schema["required"] = [*schema["required"], FILE]
        schemas.append(schema)
    return {"required": True, "content": {"multipart/form-data": {"schema": {"oneOf": schemas}}}}


class PackageRoutes:
    """The rows of packages."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        there: dict[int | str, dict[str, Any]] = {
            200: {"model": Package, "description": "It was there already."}
        }
        one = f"{PATH}/{{pid}}"
        return [
            Route(method="GET", path=PATH, call=self.list_packages, scope=Scope.READ, answers=Page[Package]),
            Route(
                method="POST",
                path=PATH,
                call=self.add_package,
                scope=Scope.OPERATE,
                answers=Package,
                status=201,
                problems=(409, 415, 507),
                responses=there,
                body=form_body(),
            ),
            Route(
                method="GET",
                path=one,
                call=self.show_package,
                scope=Scope.READ,
                answers=Package,
                problems=(404,),
            ),
            Route(
                method="DELETE",
                path=one,
                call=self.remove_package,
                scope=Scope.OPERATE,
                status=204,
                problems=(404, 409, 507),
                response_class=Response,
            ),
        ]

    async def list_packages(self, after: After = None, limit: Limit = 100) -> Page[Package]:
        """All packages, the newest first."""
        rows = await self._office.reader.rows(
            tables.packages,
            by=("added_s", "pid"),
            newest_first=True,
            after=place_of(after),
            limit=limit + 1,
        )
        return paged(rows, limit, package_of, lambda row: text_of(Place(row["added_s"], row["pid"])))

    async def show_package(self, pid: Pid) -> Package:
        """One package."""
        return package_of(await self._row(pid))

    async def add_package(self, request: Request) -> Response:
        """Add a package: its bytes, and what is said of them.

        The same bytes with the same version are the same package, however often they are added: 200 then,
        and 201 the first time. So this takes no Idempotency-Key. What comes is written to the disk piece by
        piece. With `archive` the file is a vendor's archive, whose UpgradeDesc.json says version, kind,
        source versions, segment size and check code.
        """
        office = self._office
        async with office.uploads.taken(request) as (path, form):
            said = form_of(form.fields)
            now = office.desk.now()
            if isinstance(said, ArchiveForm):
                pid = await office.desk.add_archive(path, name=said.name, product=said.product)
            else:
                pid = await office.desk.add_package(path, **dict(said))
        package = package_of(await self._row(pid))
        status = 201 if package.added_s >= now else 200
        place = {"Location": f"{request.url.path}/{pid}"}
        return JSONResponse(package.model_dump(mode="json"), status, place)

    async def remove_package(self, pid: Pid) -> Response:
        """Remove a package that no campaign needs."""
        await self._row(pid)
        await self._office.desk.remove_package(pid)
        return Response(status_code=204)

    async def _row(self, pid: str) -> Mapping[str, Any]:
        row = await self._office.reader.row(tables.packages, pid)
        if row is None:
            raise missing(f"package {pid}")
        return row

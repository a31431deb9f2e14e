"""Vendors' archives are added by a form of their own."""

from __future__ import annotations

import re

from headgate.web.access import Scope
from headgate.web.routes.packages import ArchiveForm, PackageForm
from web_asking import BODY, vendor_archive
from web_browsing import logged_in, shown


def test_an_archive_says_itself_what_it_is(run, api):
    """The form of archives asks for nothing that an archive names; a file is required in both forms."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client:
            forms = re.findall(
                r'<form [^>]*action="/packages".*?</form>', (await client.get("/packages")).text, re.S
            )
            names = [set(re.findall(r'name="(\w+)"', form)) for form in forms]
            assert names[0] == {*PackageForm.model_fields, "file"}
            assert names[1] == {*ArchiveForm.model_fields, "file"}
            assert all(re.search(r'type="file"[^>]* required', form) for form in forms)
            form = {"archive": "true", "name": "", "product": "meter"}
            answer = await client.post("/packages", data=form, files={"file": ("app.zip", vendor_archive())})
            assert (answer.status_code, answer.headers["location"]) == (303, "/packages")
            text = shown(await client.get("/packages"))
            assert "of version V2 is added" in text
            assert "meter" in text
            await client.post("/packages", data=form, files={"file": ("app.zip", BODY)})
            assert "no zip archive" in shown(await client.get("/packages"))

    run(main())

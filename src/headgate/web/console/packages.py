"""Packages: the list, adding one, removing one."""

from __future__ import annotations

import json

from headgate.web.console.acts import Act, Done, Write
from headgate.web.console.pages import Context, Question, View
from headgate.web.office import Office
from headgate.web.routes.packages import PackageRoutes

PAGE = 50


def here(question: Question) -> str:
    """The list."""
    return "/packages"


class PackagePages:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._packages = PackageRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [View(path="/packages", template="packages.html", context=self._list)]

    def acts(self) -> list[Act]:
        """What can be done."""
        return [
            Act(path="/packages", call=self._add, back=here, form=False),
            Act(path="/packages/{pid}/remove", call=self._remove, back=here),
        ]

    async def _list(self, question: Question) -> Context:
        page = await self._packages.list_packages(after=question.said("after"), limit=PAGE)
        return {"packages": page, "most": self._office.settings.package_bytes_max}

    async def _add(self, write: Write) -> Done:
        answer = await self._packages.add_package(write.request)
        package = json.loads(bytes(answer.body))
        what = "is added" if answer.status_code == 201 else "was there already"
        return Done(to="/packages", said=f"Package {package['pid']} of version {package['version']} {what}.")

    async def _remove(self, write: Write) -> Done:
        pid = write.question.params["pid"]
        await self._packages.remove_package(pid)
        return Done(to="/packages", said=f"Package {pid} is removed.")

"""Devices: the list, and the page of one."""

from __future__ import annotations

import json

from headgate.model import Progress
from headgate.store import tables
from headgate.web.console import words
from headgate.web.console.acts import Act, Done, Write
from headgate.web.console.pages import Context, Question, View
from headgate.web.office import Office
from headgate.web.paging import number_of
from headgate.web.problems import Problem
from headgate.web.routes.devices import DeviceRoutes, Explanation, Labels, etag_of
from headgate.web.routes.tasks import TaskQuery, TaskRoutes
from headgate.web.targets import DeviceQuery

PAGE = 50
TIMELINE = 50
TASKS = 20
ONE = "/devices/{endpoint:endpoint}"


class DevicePages:
    """The list, and one."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._devices = DeviceRoutes(office)
        self._tasks = TaskRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [
            View(path="/devices", template="devices.html", context=self._list),
            View(path=ONE, template="device.html", context=self._show, live=True),
        ]

    def acts(self) -> list[Act]:
        """What can be done."""
        return [
            Act(path=f"{ONE}/labels", call=self._label, back=page_of),
            Act(path=f"{ONE}/tasks/{{task_id}}/cancel", call=self._cancel, back=page_of),
        ]

    async def _list(self, question: Question) -> Context:
        names = ("endpoint_prefix", "product", "version", "cell", "group", "after")
        said = {name: value for name in names if (value := question.said(name)) is not None}
        wanted = DeviceQuery.model_validate({**said, "limit": PAGE})
        return {
            "devices": await self._devices.list_devices(wanted),
            "filter": {name: said.get(name, "") for name in names},
            "filtered": bool(said.keys() - {"after"}),
            "count": self._office.desk.figures().devices,
        }

    async def _show(self, question: Question) -> Context:
        endpoint = endpoint_of(question)
        before = question.said("before")
        timeline = await self._devices.device_timeline(
            endpoint, after=None if before is None else number_of(before), limit=TIMELINE
        )
        tasks = await self._tasks.list_tasks(TaskQuery.model_validate({"endpoint": endpoint, "limit": TASKS}))
        explanation = await self._devices.explain_device(endpoint)
        try:
            device = await self._devices.show_device(endpoint)
        except Problem as problem:
            if not timeline.items and not tasks.items:
                raise Problem(404, "No device of that name is registered, and none ever was.") from problem
            device = None
        return {
            "endpoint": endpoint,
            "device": device,
            "etag": None if device is None else etag_of(Labels(product=device.product, group=device.group)),
            "explanation": explanation,
            "rate": await self._rate(explanation),
            "timeline": timeline,
            "tasks": tasks,
            "now": self._office.desk.now(),
        }

    async def _rate(self, explanation: Explanation) -> float | None:
        """Bytes a second since its download began, None where nothing is known of one."""
        if explanation.task is None or explanation.served is None:
            return None
        campaign = await self._office.reader.row(tables.campaigns, explanation.task.campaign)
        if campaign is None:
            return None
        progress = self._office.desk.progress(explanation.endpoint, campaign["pid"])
        return None if progress is None else rate_of(progress)

    async def _label(self, write: Write) -> Done:
        endpoint = endpoint_of(write.question)
        form = write.form
        labels = Labels(product=form.one("product") or None, group=form.one("group") or None)
        answer = await self._devices.set_labels(endpoint, labels, if_match=form.one("etag"))
        kept = Labels.model_validate(json.loads(bytes(answer.body)))
        said = ", ".join(f"{name} {value}" for name, value in kept if value is not None)
        return Done(to=page_of(write.question), said=f"Labels saved: {said or 'none'}.")

    async def _cancel(self, write: Write) -> Done:
        task = await self._tasks.cancel_task(write.question.params["task_id"], write.question.token)
        return Done(to=page_of(write.question), said=f"Task {task.id} is cancelled.")


def rate_of(progress: Progress) -> float | None:
    """Bytes a second from the first block to the last one."""
    seconds = progress.served_monotonic_s - progress.started_monotonic_s
    return progress.bytes / seconds if seconds > 0 else None


def endpoint_of(question: Question) -> str:
    """The device that is meant: by the path, or by a parameter where no path can say it."""
    return question.params["endpoint"] or question.query.get("endpoint", "")


def page_of(question: Question) -> str:
    """The page of the device."""
    return words.device_url(endpoint_of(question))

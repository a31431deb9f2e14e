"""How a request says which devices a campaign is for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from headgate.upgrade.failure import Failure
from headgate.web.paging import NO_NUL, Text
from headgate.web.staging import Wanted
from headgate.web.targets import DeviceFilter

LISTED_MAX = 100_000

Endpoint = Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)]


class FailedIn(Wanted):
    """The devices whose last attempt in a campaign failed."""

    campaign: Text
    failures: list[Failure] = Field([], description="By these causes; by any where none is named.")


class Targets(Wanted):
    """The devices of a campaign, in one of these ways."""

    endpoints: Annotated[list[Endpoint], Field(min_length=1, max_length=LISTED_MAX)] | None = Field(
        None, description="These, whether they have registered yet or not."
    )
    filter: DeviceFilter | None = Field(None, description="The registered devices that pass it now.")
    failed_in: FailedIn | None = None
    all: bool = Field(False, description="Every registered device.")

    @model_validator(mode="after")
    def one_way(self) -> Targets:
        """Refuse none and several: nobody shall upgrade a whole fleet by leaving something out."""
        ways = [self.endpoints is not None, self.filter is not None, self.failed_in is not None, self.all]
        if sum(ways) != 1:
            raise ValueError("one of endpoints, filter, failed_in and all says which devices")
        if self.filter is not None and self.filter.empty:
            raise ValueError("an empty filter is every device: say `all` if that is meant")
        return self

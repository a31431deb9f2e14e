"""The firmware negotiation: LwM2M object 5, pull by package URI. Steps 1 to 16 of the OTA guide.

What the order of the rows rests on

- 5/0/3 is observed before the URI is written. The LiteOS client starts, and leaves each State, only when its
  notification of it was acknowledged; without an observation that never happens.
- A device that is not Idle is reset first, by an empty URI.
- Every new Register is followed by a new observation. The token from before stays valid until the task ends:
  the notification of the result may come with it.
- Right after its reboot a device may say State 0, Result 0, and keep saying it: 3/0/3 decides.
"""

from __future__ import annotations

from headgate.upgrade.choices import ended
from headgate.upgrade.events import SHARED_EVENTS, AnnounceOutcome
from headgate.upgrade.failure import Failure
from headgate.upgrade.firmware_download import DOWNLOAD_ROWS
from headgate.upgrade.firmware_update import UPDATE_ROWS
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.object5 import OWN, CancelObservation, ReadVersion, WithdrawDownload
from headgate.upgrade.opening import opening
from headgate.upgrade.rows import endings
from headgate.upgrade.table import Entering
from headgate.upgrade.task import Kind, State

FIRMWARE = Negotiation(
    Kind.FIRMWARE,
    {
        **opening(
            own=OWN,
            ask_version=(ReadVersion(),),
            version_at="3/0/3",
            version_refused=Failure.VERSION_TIMEOUT,
            radio_step=6,
            identified=State.QUERY_RADIO,
            admitted=State.OBSERVE,
        ),
        **DOWNLOAD_ROWS,
        **UPDATE_ROWS,
        **endings(
            own=OWN,
            step=16,
            enter=Entering(decide=ended, effects=(CancelObservation, WithdrawDownload, AnnounceOutcome)),
        ),
    },
    SHARED_EVENTS | OWN,
)

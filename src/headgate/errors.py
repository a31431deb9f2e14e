"""One tree of exceptions. A message says what was wanted, what came, and what to do.

Ground floor: imports nothing of ours and may be imported by every room.
"""

from __future__ import annotations


class HeadgateError(Exception):
    """Anything that Headgate raises on purpose."""


class MessageFormatError(HeadgateError, ValueError):
    """A datagram is not a CoAP message (RFC 7252 section 3).

    Keeps what could be read before the fault, so that the caller can reply: `type`, `message_id`
    and `token` are None where the datagram did not get that far.
    """

    def __init__(
        self,
        reason: str,
        *,
        type: int | None = None,
        message_id: int | None = None,
        token: bytes | None = None,
    ) -> None:
        super().__init__(reason)
        self.type = type
        self.message_id = message_id
        self.token = token


class BlockError(HeadgateError, ValueError):
    """A Block option or a block's place in a body is not possible (RFC 7959 section 2.2)."""


class FormatError(HeadgateError, ValueError):
    """A payload is not what its Content-Format says, or a value cannot be written in it (LwM2M core 7.4)."""


class PathError(HeadgateError, ValueError):
    """A package path cannot be asked for over CoAP (RFC 7252 section 5.10.1)."""


class PathTakenError(HeadgateError):
    """The path serves another package; withdraw it or ask for a replacement."""


class PackageError(HeadgateError):
    """A package cannot be read or kept."""


class PackageTooLargeError(PackageError):
    """A package has more bytes than 2**20 blocks of the smallest size offered (RFC 7959 section 2.2)."""


class PackageConflictError(PackageError):
    """A package cannot be kept beside another: a device, or we ourselves, would take one for the other."""


class ArchiveError(PackageError):
    """A vendor archive is not one, or is larger, deeper or stranger than archives are allowed to be."""


class GrantLimitError(HeadgateError):
    """All ledger records are in use; withdraw grants or raise the limit."""


class ExchangeLimitError(HeadgateError):
    """A table of the CoAP exchange is full; forget tokens that are not needed, or raise the bound named."""


class CommandLimitError(HeadgateError):
    """Too many commands wait for one device; drop those that are not wanted any more, or raise the bound."""


class DeviceBusyError(HeadgateError):
    """A task or a command of maintenance is under way for the device: cancel it, or wait for its end."""


class AddressError(HeadgateError, OSError):
    """The UDP address cannot be used: taken, not ours, or not permitted."""


class ConfigError(HeadgateError):
    """A setting is unknown or impossible; the message names it, and where it was set."""


class StoreError(HeadgateError):
    """The store cannot be opened, written or read. What was to be stored is kept, and can be stored later."""


class StoreFullError(StoreError):
    """No room is left where the store lives; what was to be stored is kept until there is some."""


class CampaignError(HeadgateError):
    """There is no such campaign, or it cannot be made."""


class CampaignStateError(CampaignError):
    """Where the campaign stands, this cannot be done."""


class CampaignChangedError(CampaignError):
    """Somebody has changed the campaign since it was looked at."""


class HookError(HeadgateError):
    """A web hook cannot be made, or leads where hooks may not lead."""


class HookLimitError(HookError):
    """There are as many web hooks as there may be; remove one, or raise the bound."""

"""What an operator can do about each cause of failure. The causes are published texts; these are ours."""

from __future__ import annotations

from collections.abc import Mapping

from headgate.upgrade.failure import Failure

ADVICE: Mapping[Failure, str] = {
    Failure.NOT_ONLINE: (
        "The device deregistered, lost its registration or answered a command with an error. Look at "
        "its timeline for what it answered; retry when it registers again."
    ),
    Failure.TASK_CONFLICT: (
        "Another campaign was upgrading the device. Retry when that one is through, or stop it."
    ),
    Failure.ONLINE_TIMEOUT: (
        "The device was not heard, or its turn in the cell did not come, in time. Check its power and "
        "coverage; for devices that report rarely, raise timers.online_s above their interval."
    ),
    Failure.RESULT_TIMEOUT: (
        "After the update the device runs a version that is not the target: it fell back, or the "
        "package is labelled with another version than its firmware reports. Compare the two, then "
        "retry."
    ),
    Failure.VERSION_TIMEOUT: (
        "The device did not report its version. Check that it implements 3/0/3 (or, over PCP, answers "
        "message 19) and that presence.awake_s is not longer than it really listens; then retry."
    ),
    Failure.CELL_ID_TIMEOUT: (
        "The device did not report its cell, so it could not be given a slot. Check that it implements "
        "object 4, resource 8; retry where coverage was the reason."
    ),
    Failure.CHECK_TIMEOUT: (
        "The device was not heard from after its update. It may still be starting, or it may be lost: "
        "look whether it registered since; visit one before upgrading more of its kind."
    ),
    Failure.DOWNLOADED_TIMEOUT: (
        "The download took too long. In weak cells raise timers.download_s or set no_progress_s; if all "
        "devices of a cell are slow, lower its limits."
    ),
    Failure.UPDATE_START_TIMEOUT: (
        "The device has the package and did not begin to install it. It may want more battery or an "
        "idle moment; look for its answer to Execute in the timeline, then retry."
    ),
    Failure.DOWNLOAD_START_TIMEOUT: (
        "The device accepted the address of the package and did not ask for it. Check that "
        "coap.authority is a name and port that devices can reach through every firewall."
    ),
    Failure.STORAGE: (
        "The device has no room for the package. Free some on the device, or make a smaller package; a "
        "retry alone does not help."
    ),
    Failure.MEMORY: (
        "The device ran out of memory during the download. Retry after it restarts; if it happens "
        "again, offer smaller blocks (coap.largest_block)."
    ),
    Failure.CONNECTION_LOST: (
        "The device lost its connection during the download. Retry: most clients resume where they "
        "were. If many of one cell fail so, lower the limits of that cell."
    ),
    Failure.INTEGRITY: (
        "The device found the package damaged. Check that its file is the one that was released and "
        "signed for this product; if single devices fail, retry them."
    ),
    Failure.PACKAGE_TYPE: (
        "The package is not for this device. Check product and source versions of the package before "
        "you go on."
    ),
    Failure.INVALID_URI: (
        "The device could not use the address of the package. Check coap.authority, and that the device "
        "supports coap:// addresses of that length."
    ),
    Failure.UPDATE_FAILED: (
        "The device could not install the package. Its result code is in the task; ask its maker what "
        "it means before more of its kind are upgraded."
    ),
}

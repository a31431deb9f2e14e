"""Published examples: files, each entry with its source and its meaning. Bytes are hexadecimal strings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """What the file `name` holds."""
    return json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))

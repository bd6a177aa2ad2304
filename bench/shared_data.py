"""Where the development data lies: JAL_SHARED, or ../shared beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("JAL_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data"

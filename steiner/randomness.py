"""Named random streams: each use of randomness has its own stream."""

from __future__ import annotations

import hashlib
import random


def random_stream(*names: object) -> random.Random:
    """A random stream named after its purpose. Streams with different names are independent."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))

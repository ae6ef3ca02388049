"""Variables and reports of 2.x.

Source: OCPP 2.0.1 Part 2 B05 to B08.
"""

from __future__ import annotations

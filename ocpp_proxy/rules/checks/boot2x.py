"""Boot and registration of 2.x.

Source: OCPP 2.0.1 Part 2 B01 to B04.
"""

from __future__ import annotations

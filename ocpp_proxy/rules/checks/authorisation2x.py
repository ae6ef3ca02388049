"""Who may charge, in 2.x.

Source: OCPP 2.0.1 Part 2 block C.
"""

from __future__ import annotations

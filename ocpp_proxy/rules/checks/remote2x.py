"""What the CSMS asks of a 2.x station.

Source: OCPP 2.0.1 Part 2 block F.
"""

from __future__ import annotations

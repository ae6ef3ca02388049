"""Reservations and local lists of 2.x.

Source: OCPP 2.0.1 Part 2 blocks D and H.
"""

from __future__ import annotations

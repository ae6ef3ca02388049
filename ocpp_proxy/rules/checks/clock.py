"""Heartbeats, and the clocks of both sides.

Source: OCPP 1.6 edition 2 sections 3.15, 4.2 and 4.6; OCPP 2.0.1 Part 2 G02.
"""

from __future__ import annotations

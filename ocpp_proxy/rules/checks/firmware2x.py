"""Firmware updates and logs of 2.x.

Source: OCPP 2.0.1 Part 2 blocks L and N.
"""

from __future__ import annotations

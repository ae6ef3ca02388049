"""Statuses, availability and resets of 2.x.

Source: OCPP 2.0.1 Part 2 blocks B and G.
"""

from __future__ import annotations

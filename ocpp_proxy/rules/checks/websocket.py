"""Handshakes, connections, pings and closes.

Source: OCPP-J 1.6 chapters 3 and 5; OCPP 2.0.1 Part 4 chapters 3 and 5; RFC 6455.
"""

from __future__ import annotations

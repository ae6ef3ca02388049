"""Reservations of 1.6.

Source: OCPP 1.6 edition 2 sections 5.1 and 5.13.
"""

from __future__ import annotations

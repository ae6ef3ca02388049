"""Charging profiles of 1.6.

Source: OCPP 1.6 edition 2 sections 3.13, 5.5, 5.7 and 5.16.
"""

from __future__ import annotations

"""Meter values of 1.6.

Source: OCPP 1.6 edition 2 sections 3.16, 4.7 and 7.31 to 7.49.
"""

from __future__ import annotations

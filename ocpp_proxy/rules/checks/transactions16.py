"""Charging transactions of 1.6.

Source: OCPP 1.6 edition 2 sections 3.7, 4.8 and 4.10.
"""

from __future__ import annotations

"""Firmware updates, diagnostics and logs of 1.6.

Source: OCPP 1.6 edition 2 sections 4.4, 4.5, 5.9 and 5.19; Improved security for OCPP 1.6-J edition 3.
"""

from __future__ import annotations

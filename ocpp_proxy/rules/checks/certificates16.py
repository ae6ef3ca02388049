"""Security events and certificates of 1.6.

Source: Improved security for OCPP 1.6-J edition 3.
"""

from __future__ import annotations

"""Configuration keys of 1.6.

Source: OCPP 1.6 edition 2 sections 5.3, 5.8 and chapter 9.
"""

from __future__ import annotations

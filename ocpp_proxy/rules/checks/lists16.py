"""Local authorisation lists of 1.6.

Source: OCPP 1.6 edition 2 sections 3.5, 5.10 and 5.15.
"""

from __future__ import annotations

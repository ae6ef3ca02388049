"""TransactionEvents of 2.x.

Source: OCPP 2.0.1 Part 2 block E.
"""

from __future__ import annotations

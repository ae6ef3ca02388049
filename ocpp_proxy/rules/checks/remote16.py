"""What the CSMS asks of a 1.6 station.

Source: OCPP 1.6 edition 2 chapter 5.
"""

from __future__ import annotations

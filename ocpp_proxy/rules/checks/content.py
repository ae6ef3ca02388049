"""What the JSON schemas do not say of payloads.

Source: OCPP 1.6 edition 2 chapters 2, 3 and 7; OCPP 2.0.1 Part 2, primitive datatypes.
"""

from __future__ import annotations

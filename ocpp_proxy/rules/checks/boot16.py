"""Boot and registration, in 1.6 and where all versions are alike.

Source: OCPP 1.6 edition 2 section 4.2; OCPP 2.0.1 Part 2 B01 to B03.
"""

from __future__ import annotations

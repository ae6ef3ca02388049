"""Who may charge, in 1.6.

Source: OCPP 1.6 edition 2 sections 3.4, 3.5, 3.10 and 4.1.
"""

from __future__ import annotations

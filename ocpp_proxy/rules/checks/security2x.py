"""Security events, certificates and network profiles of 2.x.

Source: OCPP 2.0.1 Part 2 blocks A and B.
"""

from __future__ import annotations

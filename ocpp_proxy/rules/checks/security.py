"""Authentication and TLS, as far as handshakes and settings show them.

Source: Improved security for OCPP 1.6-J edition 3; OCPP 2.0.1 Part 2 block A.
"""

from __future__ import annotations

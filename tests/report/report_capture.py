"""The lines of a small capture."""

from __future__ import annotations

import json

BOOT = {"chargePointVendor": "Wall Box", "chargePointModel": "CPB1", "firmwareVersion": "4.3.6"}
ACCEPTED = {"status": "Accepted", "currentTime": "2026-11-21T09:00:00Z", "interval": 300}


def frame(seq, sender, *message):
    return {"type": "frame", "connection": "c1", "seq": seq, "at": f"2026-11-21T09:00:{seq:02}Z", "sender": sender,
            "data": json.dumps(message, separators=(",", ":"))}


LINES = [
    {"type": "opened", "connection": "c1", "station": "CP001", "at": "2026-11-21T09:00:00Z", "subprotocol": "ocpp1.6"},
    frame(1, "station", 2, "1", "BootNotification", BOOT),
    frame(2, "csms", 3, "1", ACCEPTED),
    frame(3, "station", 2, "2", "Authorize", {"idTag": "04A1B2C3D4", "x": "04a1b2c3d4"}),
    frame(4, "csms", 3, "2", {"idTagInfo": {"status": "acepted", "parentIdTag": "GROUP<1>"}}),
    frame(5, "station", 2, "3", "Authorize", {"idTag": "04A1B2C3D4", "x": "04a1b2c3d4"}),
    frame(6, "csms", 3, "3", {"idTagInfo": {"status": "Accepted"}}),
]

"""Tells, before any OCPP, whether and why a handshake with a CSMS would fail, step by step (`examination.examine`)."""

"""Simulated stations and CSMSs: peers that behave as described, over real sockets."""

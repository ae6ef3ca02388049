"""ocpp-proxy: relay, record and check the traffic between an EV charging station and its CSMS."""

__version__ = "0.1.0"

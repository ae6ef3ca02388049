"""Speed and memory of ocpp-proxy beside its peers, in one run on one machine: `python -m bench`."""

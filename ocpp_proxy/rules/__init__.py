"""The rule model and its engine: pure. The rules themselves are YAML files, read by `ocpp_proxy.files.rules`."""

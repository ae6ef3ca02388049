


from ocpp_proxy.rules.checks import content as content
from ocpp_proxy.rules.checks import content_required as content_required







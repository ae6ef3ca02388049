"""The rules that need history, a module a topic; each rule's metadata, texts and tests stand in its YAML file."""

from __future__ import annotations

from collections.abc import Sequence

from ocpp_proxy.core.frame import Version
from ocpp_proxy.rules.checks import answers as answers
from ocpp_proxy.rules.checks import answers_frames as answers_frames
from ocpp_proxy.rules.checks import answers_missing as answers_missing
from ocpp_proxy.rules.checks import authorisation2x as authorisation2x
from ocpp_proxy.rules.checks import authorisation16 as authorisation16
from ocpp_proxy.rules.checks import authorisation16_tags as authorisation16_tags
from ocpp_proxy.rules.checks import availability2x as availability2x
from ocpp_proxy.rules.checks import availability2x_reset as availability2x_reset
from ocpp_proxy.rules.checks import availability2x_status as availability2x_status
from ocpp_proxy.rules.checks import boot2x as boot2x
from ocpp_proxy.rules.checks import boot2x_reason as boot2x_reason
from ocpp_proxy.rules.checks import boot2x_status as boot2x_status
from ocpp_proxy.rules.checks import boot16 as boot16
from ocpp_proxy.rules.checks import boot16_boots as boot16_boots
from ocpp_proxy.rules.checks import certificates16 as certificates16
from ocpp_proxy.rules.checks import clock as clock
from ocpp_proxy.rules.checks import clock_heartbeat as clock_heartbeat
from ocpp_proxy.rules.checks import clock_skew as clock_skew
from ocpp_proxy.rules.checks import configuration16 as configuration16
from ocpp_proxy.rules.checks import content as content
from ocpp_proxy.rules.checks import content_required as content_required
from ocpp_proxy.rules.checks import firmware2x as firmware2x
from ocpp_proxy.rules.checks import firmware2x_log as firmware2x_log
from ocpp_proxy.rules.checks import firmware2x_wait as firmware2x_wait
from ocpp_proxy.rules.checks import firmware16 as firmware16
from ocpp_proxy.rules.checks import firmware16_book as firmware16_book
from ocpp_proxy.rules.checks import firmware16_logs as firmware16_logs
from ocpp_proxy.rules.checks import lists16 as lists16
from ocpp_proxy.rules.checks import meter2x as meter2x
from ocpp_proxy.rules.checks import meter16 as meter16
from ocpp_proxy.rules.checks import meter16_contexts as meter16_contexts
from ocpp_proxy.rules.checks import meter16_schedule as meter16_schedule
from ocpp_proxy.rules.checks import meter16_transactions as meter16_transactions
from ocpp_proxy.rules.checks import meter_plausible as meter_plausible
from ocpp_proxy.rules.checks import meter_registers as meter_registers
from ocpp_proxy.rules.checks import meter_samples as meter_samples
from ocpp_proxy.rules.checks import monitoring2x as monitoring2x
from ocpp_proxy.rules.checks import monitoring2x_events as monitoring2x_events
from ocpp_proxy.rules.checks import remote2x as remote2x
from ocpp_proxy.rules.checks import remote2x_asked as remote2x_asked
from ocpp_proxy.rules.checks import remote2x_signed as remote2x_signed
from ocpp_proxy.rules.checks import remote16 as remote16
from ocpp_proxy.rules.checks import remote16_availability as remote16_availability
from ocpp_proxy.rules.checks import remote16_data as remote16_data
from ocpp_proxy.rules.checks import remote16_reset as remote16_reset
from ocpp_proxy.rules.checks import remote16_state as remote16_state
from ocpp_proxy.rules.checks import remote16_trigger as remote16_trigger
from ocpp_proxy.rules.checks import reports2x as reports2x
from ocpp_proxy.rules.checks import reservation2x as reservation2x
from ocpp_proxy.rules.checks import reservation2x_lists as reservation2x_lists
from ocpp_proxy.rules.checks import reservation16 as reservation16
from ocpp_proxy.rules.checks import security as security
from ocpp_proxy.rules.checks import security2x as security2x
from ocpp_proxy.rules.checks import security2x_certificates as security2x_certificates
from ocpp_proxy.rules.checks import security_profiles as security_profiles
from ocpp_proxy.rules.checks import security_tls as security_tls
from ocpp_proxy.rules.checks import smart_charging2x as smart_charging2x
from ocpp_proxy.rules.checks import smart_charging16 as smart_charging16
from ocpp_proxy.rules.checks import smart_charging_limits as smart_charging_limits
from ocpp_proxy.rules.checks import smart_charging_profiles as smart_charging_profiles
from ocpp_proxy.rules.checks import status16 as status16
from ocpp_proxy.rules.checks import status16_faults as status16_faults
from ocpp_proxy.rules.checks import status16_limits as status16_limits
from ocpp_proxy.rules.checks import status16_missing as status16_missing
from ocpp_proxy.rules.checks import status16_offline as status16_offline
from ocpp_proxy.rules.checks import status16_sessions as status16_sessions
from ocpp_proxy.rules.checks import transactions2x as transactions2x
from ocpp_proxy.rules.checks import transactions2x_book as transactions2x_book
from ocpp_proxy.rules.checks import transactions2x_learn as transactions2x_learn
from ocpp_proxy.rules.checks import transactions2x_meter as transactions2x_meter
from ocpp_proxy.rules.checks import transactions2x_offline as transactions2x_offline
from ocpp_proxy.rules.checks import transactions2x_points as transactions2x_points
from ocpp_proxy.rules.checks import transactions2x_reasons as transactions2x_reasons
from ocpp_proxy.rules.checks import transactions2x_sequence as transactions2x_sequence
from ocpp_proxy.rules.checks import transactions16 as transactions16
from ocpp_proxy.rules.checks import transactions16_invalid as transactions16_invalid
from ocpp_proxy.rules.checks import transactions16_missing as transactions16_missing
from ocpp_proxy.rules.checks import transactions16_queue as transactions16_queue
from ocpp_proxy.rules.checks import transactions16_reason as transactions16_reason
from ocpp_proxy.rules.checks import transactions16_stop as transactions16_stop
from ocpp_proxy.rules.checks import variables2x as variables2x
from ocpp_proxy.rules.checks import variables2x_readback as variables2x_readback
from ocpp_proxy.rules.checks import websocket as websocket
from ocpp_proxy.rules.checks import websocket_links as websocket_links
from ocpp_proxy.rules.checks import websocket_pings as websocket_pings
from ocpp_proxy.rules.checks import websocket_vocabulary as websocket_vocabulary
from ocpp_proxy.rules.checks import wishes as wishes
from ocpp_proxy.rules.occasions import REGISTERED, Registered


def of_rule(rule_id: str) -> Sequence[Registered]:
    """The functions of a rule."""
    return REGISTERED.get(rule_id, ())


def keepers(version: Version) -> list[Registered]:
    """The functions that only keep books, of this version."""
    return [one for one in of_rule("") if version in one.versions]


def ids() -> frozenset[str]:
    """The ids of all rules that are written in Python."""
    return frozenset(REGISTERED) - {""}

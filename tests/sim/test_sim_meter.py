import random

from ocpp_proxy.sim.meter import MEASURANDS, Meter, sampled2x, sampled16


def run(seed):
    meter = Meter(random.Random(seed))
    readings = []
    for _ in range(20):
        meter.charge()
        meter.run(60)
        readings.append(meter.reading_wh)
    return readings


def test_the_register_rises_and_depends_on_the_seed_alone():
    assert run(1) == run(1) != run(2)
    assert run(1) == sorted(set(run(1)))
    assert 3400 < run(1)[-1] < 3700  # 20 min at nearly 11 kW


def test_a_limit_below_six_amperes_stops_the_car():
    meter = Meter(random.Random(0))
    meter.limit_a = 5.9
    meter.charge()
    assert (meter.may_charge, meter.power_w) == (False, 0)
    meter.limit_a = 10
    meter.charge()
    assert 6400 < meter.power_w < 7000
    meter.idle()
    assert meter.power_w == 0


def test_values_are_texts_in_16_and_numbers_in_2x():
    meter = Meter(random.Random(0), 5000.7)
    old, = sampled16(meter, ["Energy.Active.Import.Register"], "Trigger")
    new, = sampled2x(meter, ["Energy.Active.Import.Register"], "Trigger")
    assert old == {"value": "5000", "context": "Trigger", "format": "Raw", "location": "Outlet", "unit": "Wh",
                   "measurand": "Energy.Active.Import.Register"}
    assert new["value"] == 5000
    assert new["unitOfMeasure"] == {"unit": "Wh"}


def test_an_unknown_measurand_has_no_reading():
    meter = Meter(random.Random(0))
    assert sampled16(meter, ["SoC"], "Trigger") == []
    assert all(meter.read(measurand) for measurand in MEASURANDS)

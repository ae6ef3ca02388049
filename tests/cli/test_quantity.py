from __future__ import annotations

import click
import pytest

from ocpp_proxy.cli.quantity import Quantity


@pytest.mark.parametrize("text", ["0.001", "10", "1e3"])
def test_a_number(text: str) -> None:
    assert Quantity().convert(text, None, None) == float(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "0", "-1", "ten", "61"])
def test_what_is_none_that_anything_could_be_done_with(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"range 0<x<=60|not a valid"):
        Quantity(60).convert(text, None, None)

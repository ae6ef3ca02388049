"""Known findings are accepted, new and graver ones are not."""

import pytest
from report_capture import LINES, frame

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.report import as_json
from ocpp_proxy.report.baseline import apart, read_baseline


@pytest.fixture
def known(analysed, tmp_path):
    """A baseline of what stands in a capture."""

    def make(lines=LINES, change=lambda text: text):
        path = tmp_path / "known.json"
        path.write_text(change(as_json.line(analysed(lines)[1])) + "\n\n")
        return read_baseline(path)

    return make


def test_what_was_known_is_taken_out_and_counted(analysed, known):
    baseline = known()
    left = apart(analysed()[1], baseline)
    assert (left.findings, left.accepted) == ([], 3)
    assert (left.counts["error"], left.counts["warning"], left.counts["frames"]) == (0, 0, 6)
    assert as_json.line(left).endswith('"accepted":3}')


def test_what_is_new_stays(analysed, known):
    baseline = known(LINES[:5])
    new = frame(7, "station", 2, "4", "Authorize", {"idTag": "04A1B2C3D4", "y": 1})
    left = apart(analysed([*LINES, new])[1], baseline)
    assert [(finding.rule, finding.pointer) for finding in left.findings] == [("schema-additional", "/y")]
    assert (left.accepted, left.counts["error"]) == (3, 1)


def test_another_side_or_station_is_new(analysed, known):
    assert len(apart(analysed()[1], known(change=lambda text: text.replace('"CP001"', '"CP002"'))).findings) == 3
    swapped = known(change=lambda text: text.replace('"at_fault":"csms"', '"at_fault":"station"'))
    assert [finding.rule for finding in apart(analysed()[1], swapped).findings] == ["schema-enum"]


def test_a_graver_one_is_new_a_lighter_one_is_not(analysed, known):
    lighter = known(change=lambda text: text.replace('"severity":"error"', '"severity":"info"'))
    assert len(apart(analysed()[1], lighter).findings) == 2
    graver = known(change=lambda text: text.replace('"severity":"warning"', '"severity":"error"'))
    assert apart(analysed()[1], graver).findings == []


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"findings":[3]}', '{"findings":[{"rule":"x"}]}', "{}",
                                  '{"findings":[{"rule":"x","station":null,"at_fault":"csms","pointer":null,'
                                  '"severity":"grave"}]}'])
def test_what_is_no_baseline_is_bad_input_with_its_line(tmp_path, line):
    path = tmp_path / "known.json"
    path.write_text('{"findings":[]}\n' + line + "\n")
    with pytest.raises(BadInput, match="expected what `ocpp-proxy check --format json` writes") as error:
        read_baseline(path)
    assert (error.value.file, error.value.line) == (str(path), 2)


def test_a_missing_or_binary_file_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_baseline(tmp_path / "missing.json")
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="not UTF-8"):
        read_baseline(tmp_path / "x")

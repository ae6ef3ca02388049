from ocpp_proxy.sim.tokens import LocalList


def test_a_full_list_replaces_and_a_differential_changes():
    tokens = LocalList()
    assert tokens.update(3, "Full", [("A", "Accepted"), ("B", "Blocked")]) == "Accepted"
    assert tokens.update(4, "Differential", [("A", None), ("C", "Accepted")]) == "Accepted"
    assert [tokens.status(token) for token in "ABC"] == [None, "Blocked", "Accepted"]
    assert tokens.update(1, "Full", []) == "Accepted"
    assert (len(tokens), tokens.version) == (0, 1)


def test_an_old_differential_changes_nothing():
    tokens = LocalList()
    tokens.update(3, "Full", [("A", "Accepted")])
    assert tokens.update(3, "Differential", [("A", None)]) == "VersionMismatch"
    assert tokens.update(0, "Full", []) == "Failed"
    assert (tokens.status("A"), tokens.version) == ("Accepted", 3)

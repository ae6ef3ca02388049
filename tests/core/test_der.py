from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.der import elements, key_size, name_parts, part

KEYS = {
    ("RSA", 1024): rsa.generate_private_key(65537, 1024),
    ("DSA", 1024): dsa.generate_private_key(1024),
    ("EC", 192): ec.generate_private_key(ec.SECP192R1()),
    ("EC", 224): ec.generate_private_key(ec.SECP224R1()),
    ("EC", 256): ec.generate_private_key(ec.BrainpoolP256R1()),
    ("EC", 384): ec.generate_private_key(ec.SECP384R1()),
    ("EC", 521): ec.generate_private_key(ec.SECP521R1()),
    ("Ed25519", 256): ed25519.Ed25519PrivateKey.generate(),
    ("Ed448", 456): ed448.Ed448PrivateKey.generate(),
    None: x25519.X25519PrivateKey.generate(),  # no key to sign with, and none that is known here
}


@pytest.mark.parametrize("size", KEYS, ids=str)
def test_kind_and_size_of_a_key(size: tuple[str, int] | None) -> None:
    info = KEYS[size].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    [(_, content)] = elements(info)
    assert key_size(content) == size


def test_a_compressed_point() -> None:
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    assert key_size(algorithm + b"\x03\x22\x00\x02" + bytes(32)) == ("EC", 256)


def test_a_sequence_that_does_not_begin_with_a_number() -> None:
    rsa_key = bytes.fromhex("300d06092a864886f70d0101010500") + b"\x03\x05\x00\x30\x02\x05\x00"
    with pytest.raises(ValueError, match="no number"):
        key_size(rsa_key)


def test_parts_of_a_name() -> None:
    name = bytes.fromhex("310c300a06035504030c03435031" "310b3009060355040a1e020041" "310a3008060355040c0c0158")
    assert name_parts(name) == [("CN", "CP1"), ("O", "A"), ("?", "X")]
    assert part(name_parts(name), "O") == "A"
    assert part(name_parts(name), "OU") is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (name_parts, key_size, lambda one: list(elements(one))):
        try:
            read(data)
        except (ValueError, IndexError):
            continue

"""TensorFlow's bundles: honest ones are read to the bit, all others refused in one line."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from unbraid.errors import CheckpointError
from unbraid.zoo.public.crc32c import crc32c, masked_crc32c
from unbraid.zoo.public.tf_bundle import read_bundle
from zoo.tf_bundles import HEADER, block, entry, field, index, varint, write_bundle

TENSORS = {
    "conv2d/kernel": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    "conv2d/bias": np.array([0.5, -1], np.float32),
    "global_step": np.array(7, np.int64),
}


def test_a_bundle_is_read_to_the_bit(tmp_path):
    found = read_bundle(write_bundle(tmp_path, TENSORS))
    assert list(found) == sorted(TENSORS)
    for name, values in TENSORS.items():
        assert found[name].shape == values.shape
        assert np.array_equal(found[name].read(), values)


def test_keys_that_share_their_start_come_apart(tmp_path):
    names = ["layer", "layer_1", "layer_10", "layer_2"]
    found = read_bundle(write_bundle(tmp_path, {name: np.zeros(1, np.float32) for name in names}))
    assert list(found) == names


@pytest.mark.parametrize("length", [0, 1, 3, 4, 8191, 8192, 8193, 100_000])
def test_the_checksum_of_many_bytes_is_that_of_a_loop(length):
    content = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    register = 0xFFFFFFFF
    for byte in content.tolist():
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    assert crc32c(content) == crc32c(content.tobytes()) == register ^ 0xFFFFFFFF


def test_a_checksum_in_a_file_is_masked():
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % (
        1 << 32
    )


def test_damaged_values_are_refused_when_they_are_read(tmp_path):
    path = write_bundle(tmp_path, TENSORS)
    data = path.with_name("model.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    found = read_bundle(path)
    with pytest.raises(CheckpointError, match="checksum"):
        found["conv2d/bias"].read()
    found["conv2d/kernel"].read()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": 2}, "only float32 and int64"),
        ({"kind": 9}, "in 8 bytes"),
        ({"shard": 1}, "file 1 of 1"),
        ({"start": 1 << 40}, "beyond the end"),
        ({"start": 1 << 64}, "too many bytes"),
        ({"size": 4}, "in 4 bytes"),
        ({"size": 1 << 60}, "beyond the end"),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(tmp_path, changed, message):
    with pytest.raises(CheckpointError, match=message):
        read_bundle(write_bundle(tmp_path, TENSORS, **changed))


@pytest.mark.parametrize(
    "header", [b"", field(1, 0), field(1, 5000), field(1, 1) + field(2, 1), b"\xff", field(1, b"x")]
)
def test_an_odd_header_is_refused(tmp_path, header):
    with pytest.raises(CheckpointError, match="refused"):
        read_bundle(write_bundle(tmp_path, TENSORS, header=header))


def _write(tmp_path: Path, content: bytes) -> Path:
    path = write_bundle(tmp_path, TENSORS)
    path.write_bytes(content)
    return path


def test_a_compressed_index_is_refused(tmp_path):
    entries = {b"": HEADER, b"a": entry(TENSORS["conv2d/bias"], 0)}
    with pytest.raises(CheckpointError, match="compressed"):
        read_bundle(_write(tmp_path, index(entries, kind=1)))


def test_keys_out_of_order_are_refused(tmp_path):
    one = entry(TENSORS["conv2d/bias"], 0)
    with pytest.raises(CheckpointError, match="order"):
        read_bundle(_write(tmp_path, index({b"": HEADER, b"b": one, b"a": one})))


def test_an_index_without_a_header_is_refused(tmp_path):
    one = entry(TENSORS["conv2d/bias"], 0)
    with pytest.raises(CheckpointError, match="header"):
        read_bundle(_write(tmp_path, index({b"a": one})))


def test_dimensions_without_end_are_refused(tmp_path):
    shape = field(2, field(1, 1)) * 9
    one = field(1, 1) + field(2, shape) + field(5, 4) + varint(6 << 3 | 5) + struct.pack("<I", 0)
    with pytest.raises(CheckpointError, match="shape"):
        read_bundle(_write(tmp_path, index({b"": HEADER, b"a": one})))


def test_a_key_longer_than_the_one_it_shares_with_is_refused(tmp_path):
    bad = varint(3) + varint(1) + varint(0) + b"a"
    whole = bad + block({})
    file = index({b"": HEADER}).replace(block({b"": HEADER}), whole)
    with pytest.raises(CheckpointError, match="refused"):
        read_bundle(_write(tmp_path, file))


def test_the_index_alone_is_refused(tmp_path):
    path = write_bundle(tmp_path, TENSORS)
    path.with_name("model.data-00000-of-00001").unlink()
    with pytest.raises(CheckpointError, match="not a readable"):
        read_bundle(path)
    with pytest.raises(CheckpointError, match="not a readable"):
        read_bundle(tmp_path / "none.index")


def test_every_cut_and_every_changed_byte_is_refused_or_changes_nothing(tmp_path):
    path = write_bundle(tmp_path, TENSORS)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"model\.index"):
            read_bundle(path)
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            found = read_bundle(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
        else:  # the unused part of the footer
            assert {name: tensor.shape for name, tensor in found.items()} == {
                name: values.shape for name, values in TENSORS.items()
            }

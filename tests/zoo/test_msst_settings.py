"""The YAML files that come with community models: what they say, and what is refused."""

from __future__ import annotations

import pytest

from unbraid.errors import CheckpointError, SettingsError
from unbraid.zoo.public.msst import read_settings
from unbraid.zoo.public.yaml_data import read_yaml

ROFORMER = """
audio: {chunk_size: 352800, dim_f: 1024, dim_t: 801, hop_length: 441, n_fft: 2048, num_channels: 2, sample_rate: 44100}
model:
  dim: 384
  depth: 6
  stereo: true
  num_stems: 1
  time_transformer_depth: 1
  freq_transformer_depth: 1
  num_bands: 60
  dim_head: 64
  heads: 8
  flash_attn: true
  dim_freqs_in: 1025
  sample_rate: 44100
  stft_n_fft: 2048
  stft_hop_length: 441
  stft_win_length: 2048
  stft_normalized: False
  mask_estimator_depth: 2
  multi_stft_resolution_loss_weight: 1.0
  multi_stft_resolutions_window_sizes: !!python/tuple
    - 4096
    - 2048
  multi_stft_hop_size: 147
training: {instruments: [Vocals, Instrumental], target_instrument: Vocals, use_amp: true}
inference: {batch_size: 1, num_overlap: 2}
"""  # noqa: E501
SCNET = """
audio: {chunk_size: 485100, sample_rate: 44100}
model:
  sources: [drums, bass, other, vocals]
  dims: [4, 32, 64, 128]
  band_SR: [0.175, 0.392, 0.433]
  num_dplayer: 6
training: {instruments: [drums, bass, other, vocals], target_instrument: null}
inference: {num_overlap: 4, normalize: true}
"""
MDX23C = """
audio: {chunk_size: 261120, dim_f: 4096, dim_t: 256, hop_length: 1024, n_fft: 8192, num_channels: 2, sample_rate: 44100}
model: {act: gelu, bottleneck_factor: 4, growth: 128, norm: InstanceNorm, num_blocks_per_scale: 2,
        num_channels: 128, num_scales: 5, num_subbands: 4, scale: [2, 2]}
training: {instruments: [Vocals, Instrumental], target_instrument: null}
inference: {num_overlap: 4}
"""  # noqa: E501
HTDEMUCS = """
audio: {chunk_size: 485100}
model: htdemucs
htdemucs: {channels: 48, bottom_channels: 512, dconv_mode: 3, use_train_segment: false}
training: {instruments: [vocals, other], channels: 2, samplerate: 44100, segment: 11}
"""


def settings(tmp_path, text):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    return read_settings(read_yaml(path))


def test_a_roformer_of_one_stem_has_the_other_instrument_as_its_complement(tmp_path):
    found = settings(tmp_path, ROFORMER)
    assert found.architecture == "mel_band_roformer"
    assert found.config["stems"] == ("vocals",)
    assert found.complement == "instrumental"
    assert found.config["segment_s"] == 8.0
    assert found.config["mask_hidden_layers"] == 2
    assert found.config["silence_dc"] is True
    assert found.config["normalize"] is False


def test_bands_of_their_own_make_a_bs_roformer(tmp_path):
    bands = "freqs_per_bands: !!python/tuple [1000, 25]"
    text = ROFORMER.replace("num_bands: 60", bands).replace("  sample_rate: 44100\n", "")
    found = settings(tmp_path, text)
    assert found.architecture == "bs_roformer"
    assert found.config["bands"] == (1000, 25)
    assert found.config["mask_hidden_layers"] == 1


def test_an_scnet_is_known_by_its_bands(tmp_path):
    found = settings(tmp_path, SCNET)
    assert found.architecture == "scnet"
    assert found.config["widths"] == (4, 32, 64, 128)
    assert found.complement == ""
    assert found.config["normalize"] is True


def test_an_mdx23c_is_known_by_its_subbands(tmp_path):
    found = settings(tmp_path, MDX23C)
    assert found.architecture == "tfc_tdf"
    assert found.config["stems"] == ("vocals", "instrumental")
    assert found.config["used_bins"] == 4096


def test_a_name_selects_htdemucs(tmp_path):
    found = settings(tmp_path, HTDEMUCS)
    assert found.architecture == "htdemucs"
    assert found.config["segment_s"] == 11
    assert found.config["pad_to_segment"] is False
    assert found.config["stems"] == ("vocals", "other")


@pytest.mark.parametrize(
    ("text", "old", "new", "word"),
    [
        (ROFORMER, "heads: 8", "use_shared_bias: true", "biases shared"),
        (ROFORMER, "heads: 8", "sharpness: 8", "sharpness"),
        (ROFORMER, "num_bands: 60", "cross_bands: 60", "fit none"),
        (ROFORMER, "num_stems: 1", "num_stems: 2", "makes 2 stems"),
        (ROFORMER, "training: {", "training: {model_type: bandit, ", "bandit"),
        (ROFORMER, "instruments: [Vocals, Instrumental], target_instrument: Vocals, ", "", "stems"),
        (ROFORMER, "chunk_size: 352800", "chunk_size: -1", "chunk_size"),
        (ROFORMER, "audio:", "sound:", "'audio'"),
        (MDX23C, "norm: InstanceNorm", "norm: RMSNorm", "RMSNorm"),
        (MDX23C, "growth: 128, ", "", "growth"),
        (HTDEMUCS, "channels: 48", "cac: false", "magnitude"),
        (HTDEMUCS, "channels: 48", "t_sparse_self_attn: true", "sparse"),
        (HTDEMUCS, "dconv_mode: 3", "num_subbands: 4", "num_subbands"),
    ],
)
def test_what_unbraid_does_not_have_is_named(tmp_path, text, old, new, word):
    assert old in text
    with pytest.raises((CheckpointError, SettingsError), match=word):
        settings(tmp_path, text.replace(old, new, 1))


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: !!python/object:unbraid.errors.UnbraidError {}",
        "a: !!binary aGVsbG8=",
        "a: &x [1]\nb: *x",
        "a: " + "[" * 40 + "]" * 40,
        "- 1\n- 2",
        "a: [1, 2",
        "a: " + "x" * 300_000,
        "\x00\x01",
    ],
)
def test_hostile_and_damaged_files_are_refused(tmp_path, text):
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    with pytest.raises(CheckpointError):
        read_yaml(path)

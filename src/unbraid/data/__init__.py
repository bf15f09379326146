"""Tracks for training and evaluation."""

"""Conv-TasNet, for music and for speech."""

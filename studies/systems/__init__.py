"""The comparison of all systems at one small budget."""

"""Tier and tags: pure functions of what was said, who said it and the operator's policy."""

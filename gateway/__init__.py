"""The room that knows the whole."""

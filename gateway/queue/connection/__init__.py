"""The way to the server: which one it is, one link with one deadline, what its answers mean."""

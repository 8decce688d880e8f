"""The queue: one stream per tier on Redis or Valkey, and the server that comes along."""

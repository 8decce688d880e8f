"""What was said: pure functions from a channel's payload to messages. No I/O, no clock, no ids."""

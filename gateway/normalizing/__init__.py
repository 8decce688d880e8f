"""What could hold up the event loop is normalized in a process that can be killed."""
